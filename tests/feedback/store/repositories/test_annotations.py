"""Reads are a few queries, whatever the size of a project."""

from __future__ import annotations

from operator import attrgetter

import pytest

from feedback.store import Store
from tests.support.make_events import (
    annotation_event,
    at,
    deletion_event,
    make_annotation,
    skip_event,
    task,
    task_events,
)
from tests.support.stores import count_queries


@pytest.fixture
def store_with_annotations(store: Store) -> Store:
    store.append(task_events(*(task(number) for number in range(1, 301))))
    store.append([annotation_event(number, "A", task=number, person=number % 7 + 1) for number in range(1, 301)])
    store.append([skip_event(number + 1000, task=number, person=9) for number in range(1, 301)])
    return store


@pytest.mark.parametrize(
    "name",
    [
        "tasks.list_tasks",
        "tasks.list_task_rows",
        "tasks.list_content_hashes",
        "votes.list_votes",
        "annotations.list_skips",
        "annotations.list_annotations",
        "annotations.list_annotators",
    ],
)
def test_a_read_is_at_most_threecount_queries(store_with_annotations: Store, name: str) -> None:
    assert count_queries(store_with_annotations, lambda: attrgetter(name)(store_with_annotations)("1")) <= 3


def test_an_append_of_many_events_is_a_fewcount_queries(store: Store) -> None:
    few = count_queries(store, lambda: store.append([*task_events(task(1)), annotation_event(1, "A")]))
    many = count_queries(
        store,
        lambda: store.append(
            [*task_events(*map(task, range(2, 400))), *(annotation_event(number, "A") for number in range(2, 400))]
        ),
    )

    assert many <= few + 4


def test_votes_come_with_what_was_shown_and_when(store: Store) -> None:
    store.append([annotation_event(5, "A", second=59, parent_prediction=77, lead_time_s=12)])

    (vote,) = store.votes.list_votes("1")
    assert (vote.control, vote.shown, vote.lead_time_s, vote.at_s) == ("c", 77, 12.0, 1767225659.0)
    assert store.votes.list_votes("1", control="other") == []


def test_annotations_come_back_as_they_were_given(store: Store) -> None:
    given = make_annotation(
        5, "A", lead_time_s=1.5, parent_prediction=3, ground_truth=True, unique_id="u", created_at=at(0)
    )
    store.append(
        [
            annotation_event(
                5, "A", lead_time_s=1.5, parent_prediction=3, ground_truth=True, unique_id="u", created_at=at(0)
            )
        ]
    )

    assert store.annotations.list_annotations("1") == [given]
    assert store.annotations.list_annotations("1", tasks=[1, 2], only=None) == [given]
    assert store.annotations.list_annotations("1", tasks=[2]) == []
    assert store.annotations.list_annotations("1", only=[4, 5]) == [given]
    assert store.annotations.list_annotations("1", only=[]) == []


def test_open_tasks_are_those_that_label_studio_still_asks(store: Store) -> None:
    store.append(task_events(task(1), task(2, is_labeled=True, overlap=2), task(3), task(4)))
    store.append([deletion_event(3, entity="task")])

    assert [row.id for row in store.tasks.list_task_rows("1", only_open=True)] == [1, 4]
    assert [(row.id, row.overlap) for row in store.tasks.list_task_rows("1")] == [(1, 1), (2, 2), (4, 1)]


def test_equal_data_have_equal_content_and_others_have_not(store: Store) -> None:
    store.append(task_events(task(1, "same"), task(2, "same"), task(3, "other")))

    first, second, third = store.tasks.list_task_rows("1")
    assert first.content == second.content != third.content


def test_a_sweep_does_not_bury_what_came_while_it_read(store: Store) -> None:
    """A task page says updated_at; an annotation that is newer came by webhook after the page was read."""
    store.append(
        [*task_events(task(1, second=5)), annotation_event(5, "A", second=4), annotation_event(6, "A", second=9)]
    )

    assert store.annotations.list_annotation_creation_times("1", above=0, upto=1, before=at(5)) == {1: {5: ""}}
    assert store.annotations.list_annotation_creation_times("1", above=0, upto=1) == {1: {5: "", 6: ""}}
