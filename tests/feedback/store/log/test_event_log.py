from __future__ import annotations

import pytest

from feedback.errors import EventError
from feedback.store import CaseRow, ProjectRow, Store
from feedback.store.log import events
from feedback.store.log.events import Event
from ml_backend.labelstudio.parsing import own_unique_id
from tests.support.make_events import (
    annotation_event,
    at,
    deletion_event,
    labels,
    make_annotation,
    skip_event,
    task,
    task_events,
)
from tests.support.projections import list_problems


def test_a_version_is_stored_once_from_any_source(store: Store) -> None:
    webhook = annotation_event(5, "A", unique_id="an id that the REST API never shows")
    poll = events.event_from_annotation(
        make_annotation(5, "A", updated_at="2026-01-01T02:00:01+02:00"), "poll", seen_s=9.0
    )

    assert store.append([webhook]).new == 1
    assert store.append([poll, webhook]) == type(store.append([]))(new=0, duplicates=2)
    assert store.get_stats().events == 1


def test_the_newest_version_counts_whatever_comes_last(store: Store) -> None:
    store.append([annotation_event(5, "B", second=2), annotation_event(5, "A", second=1)])

    assert labels(store.votes.list_votes("1")) == {(1, 1): "B"}


def test_a_deletion_wins_for_ever_also_when_it_comes_first(store: Store) -> None:
    store.append([deletion_event(5)])
    store.append([annotation_event(5, "A"), annotation_event(5, "B", second=3)])

    assert store.votes.list_votes("1") == []
    assert store.annotations.list_annotations("1") == []


def test_a_deletion_finds_its_task_by_our_own_map(store: Store) -> None:
    store.append([annotation_event(5, "A", task=7), annotation_event(6, "A", task=7, person=2), deletion_event(5)])

    assert store.annotations.list_annotation_creation_times("1", above=6, upto=7) == {7: {6: ""}}


def test_skips_are_listed_of_some_tasks_or_of_those_without_a_case(store: Store) -> None:
    store.append([skip_event(5, task=1, person=2), skip_event(6, task=2, person=2), skip_event(7, task=3, person=2)])
    store.cases.create_cases([CaseRow("1", 2, "queued", "L2")], "open")

    assert [skip.task for skip in store.annotations.list_skips("1", tasks=[3, 2, 9])] == [2, 3]
    assert [skip.task for skip in store.annotations.list_skips("1", without_case=True)] == [1, 3]


def test_skips_are_no_votes(store: Store) -> None:
    store.append([annotation_event(5, "A", person=1), skip_event(6, person=2), skip_event(7, task=2, person=1)])

    assert labels(store.votes.list_votes("1")) == {(1, 1): "A"}
    assert [(skip.task, skip.person) for skip in store.annotations.list_skips("1")] == [(1, 2), (2, 1)]


def test_an_answer_that_becomes_a_skip_is_no_vote_any_more(store: Store) -> None:
    store.append([annotation_event(5, "A"), skip_event(5, second=2)])

    assert store.votes.list_votes("1") == []
    assert len(store.annotations.list_skips("1")) == 1


def test_of_two_answers_of_a_person_the_latest_is_the_vote(store: Store) -> None:
    store.append([annotation_event(5, "A", second=1), annotation_event(6, "B", second=2)])

    (vote,) = store.votes.list_votes("1")
    assert (vote.annotation, vote.answer.value) == (6, ("B",))

    store.append([deletion_event(6)])
    assert labels(store.votes.list_votes("1")) == {(1, 1): "A"}


def test_only_people_vote(store: Store) -> None:
    store.projects.save_project(ProjectRow("1", bots=(99,)))
    store.annotations.create_own_annotations("1", annotations=[13], unique_ids=["ours"])
    store.append(
        [
            annotation_event(10, "A", person=1),
            annotation_event(11, "B", person=2, unique_id=own_unique_id("consensus 1")),
            annotation_event(12, "B", person=3, imported=True),
            annotation_event(13, "B", person=4),
            annotation_event(14, "B", person=99),
            annotation_event(15, "B", person=5, unique_id="ours"),
            annotation_event(16, "B", person=None),
        ]
    )

    assert labels(store.votes.list_votes("1")) == {(1, 1): "A"}
    assert len(store.annotations.list_annotations("1")) == 7  # all are kept


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize(("shown", "voters"), [(None, set()), (9, {1})])
def test_an_imported_answer_that_somebody_edits_stays_an_import(
    store: Store, order: tuple[int, int], shown: int | None, voters: set[int]
) -> None:
    """One that was made of a prediction in bulk is an answer once a person has changed it."""
    versions = [
        annotation_event(5, "A", second=1, imported=True, parent_prediction=shown),
        annotation_event(5, "B", second=9, parent_prediction=shown),
    ]
    for place in order:
        store.append([versions[place]])

    assert {vote.person for vote in store.votes.list_votes("1")} == voters
    assert labels(store.votes.list_votes("1", imported=True)) == ({} if voters else {(1, 1): "B"})
    assert list_problems(store, "1") == []


def test_a_value_that_only_a_webhook_has_survives_a_later_poll(store: Store) -> None:
    store.append([annotation_event(5, "A", unique_id=own_unique_id("consensus 1"))])
    store.append([annotation_event(5, "B", second=2, source="poll", seen_s=5.0)])

    assert store.votes.list_votes("1") == []


def test_a_value_that_only_a_webhook_has_is_stored_after_an_earlier_poll(store: Store) -> None:
    store.append([annotation_event(5, "A", source="poll", seen_s=5.0)])
    assert len(store.votes.list_votes("1")) == 1

    got = store.append([annotation_event(5, "A", unique_id=own_unique_id("consensus 1"))])

    assert (got.new, got.duplicates) == (0, 1)  # no version that anybody had missed
    assert store.votes.list_votes("1") == []


def test_the_last_api_read_decides_what_changes_without_a_new_version(store: Store) -> None:
    """Label Studio clears ground_truth, and sets is_labeled and overlap, without moving updated_at."""
    store.append([*task_events(task(1)), annotation_event(5, "A", ground_truth=True)])
    store.append([*task_events(task(1, is_labeled=True, overlap=3), source="sweep", seen_s=10.0)])
    store.append([annotation_event(5, "A", source="sweep", seen_s=10.0)])

    assert (
        store.tasks.list_task_rows("1")[0].is_labeled,
        store.tasks.list_task_rows("1")[0].overlap,
    ) == (True, 3)
    assert store.annotations.list_annotations("1")[0].ground_truth is False

    store.append(task_events(task(1), source="sweep", seen_s=20.0))
    assert store.tasks.list_task_rows("1")[0].is_labeled is False


def test_an_api_read_that_shows_nothing_new_adds_nothing(store: Store) -> None:
    store.append(task_events(task(1)))

    for seen_s in (10.0, 20.0, 30.0):
        assert store.append(task_events(task(1), source="sweep", seen_s=seen_s)).new == 0
    assert store.get_stats().events == 1


def test_a_task_is_stored_once_for_each_content(store: Store) -> None:
    store.append(task_events(task(1, "old"), task(1, "old", second=5), task(1, "new", second=3)))

    assert store.tasks.list_tasks("1")[0].data == {"text": "old"}
    store.append(task_events(task(1, "new", second=9)))
    assert store.tasks.list_tasks("1")[0].data == {"text": "new"}


def test_a_deleted_task_takes_its_votes_with_it(store: Store) -> None:
    store.append(
        [
            *task_events(task(1), task(2)),
            annotation_event(5, "A", task=1),
            skip_event(6, task=1),
            annotation_event(7, "B", task=2),
        ]
    )
    store.append([deletion_event(1, entity="task")])

    assert [row.id for row in store.tasks.list_tasks("1")] == [2]
    assert labels(store.votes.list_votes("1")) == {(2, 1): "B"}
    assert store.annotations.list_skips("1") == []
    assert [row.id for row in store.annotations.list_annotations("1")] == [7]
    assert store.tasks.get_task("1", 1) is None


def test_a_deleted_project_holds_nothing(store: Store) -> None:
    store.append([*task_events(task(1)), annotation_event(5, "A")])
    store.append([deletion_event(1, entity="project")])

    assert (
        store.tasks.list_tasks("1"),
        store.votes.list_votes("1"),
        store.projects.get_project("1"),
        store.projects.list_projects(),
    ) == ([], [], None, [])


def test_projects_are_apart_even_with_equal_ids(store: Store) -> None:
    store.append([annotation_event(5, "A"), annotation_event(5, "B", project="2"), deletion_event(5, project="3")])

    assert labels(store.votes.list_votes("1")) == {(1, 1): "A"}
    assert labels(store.votes.list_votes("2")) == {(1, 1): "B"}


def test_an_unreadable_result_is_recorded_as_a_problem_and_affects_no_other(store: Store) -> None:
    store.append(
        [
            annotation_event(5, result=({"foo": 1},)),
            annotation_event(6, result=("text",), person=2),
            annotation_event(7, "A", person=3),
        ]
    )

    assert labels(store.votes.list_votes("1")) == {(1, 3): "A"}
    assert [annotation for annotation, _reasons in list_problems(store, "1")] == [5, 6]
    assert list_problems(store, "1")[0][1] == ("region 0: no from_name or type",)


@pytest.mark.parametrize("label", ["a\x00b", "é\u2028", "'; DROP TABLE event; --", "x" * 100_000, "\ud800"])
def test_hostile_texts_are_stored(store: Store, label: str) -> None:
    store.append(
        [
            annotation_event(5, label, unique_id=f"u{label}"),
            *task_events(task(1, label)),
            annotation_event(6, "A", person=2),
        ]
    )

    assert len(store.votes.list_votes("1")) == 2
    assert store.verify() == {"events": 3, "chain": "ok", "projection": "ok"}


def test_numbers_that_no_database_can_store_are_refused_by_the_event() -> None:
    for broken in ({"person": 2**63}, {"person": -1}, {"parent_prediction": 2**70}, {"task": 0}):
        with pytest.raises(EventError):
            annotation_event(5, "A", **broken)
    with pytest.raises(EventError):
        Event("1", "annotation", 2**63, at(1), "saved", "webhook")


def test_every_version_of_an_annotation_is_stored(store: Store) -> None:
    store.append(
        [
            annotation_event(5, "B", second=2),
            annotation_event(5, "A", second=1),
            annotation_event(6, "C", second=3, person=2),
        ]
    )
    store.append([annotation_event(9, "C", task=2), deletion_event(5)])

    versions = store.events.list_task_history("1", 1)

    assert [(row.annotation, row.action) for row in versions] == [
        (5, "saved"),
        (5, "saved"),
        (6, "saved"),
        (5, "deleted"),
    ]
    assert [row.body["result"][0]["value"]["choices"] for row in versions[:3] if row.body] == [["A"], ["B"], ["C"]]


def test_the_label_config_received_last_is_the_projects(store: Store) -> None:
    store.append([events.event_from_project("1", "one", "<View/>", "webhook")])
    store.append([events.event_from_project("1", "two", "<View><Text/></View>", "webhook")])
    repeated = store.append([events.event_from_project("1", "two", "<View><Text/></View>", "webhook")])

    project = store.projects.get_project("1")
    assert project is not None
    assert (project.title, project.label_config) == ("two", "<View><Text/></View>")
    assert repeated.new == 0


def test_work_is_wanted_by_what_can_be_learned_or_asked(store: Store) -> None:
    store.projects.save_project(ProjectRow("1", bots=(99,)))
    store.append([annotation_event(4, "A", task=3)], want=None)
    assert store.jobs.list_jobs() == []

    store.append(
        [annotation_event(5, "A", unique_id=own_unique_id("x"), second=2), annotation_event(6, "A", person=99)]
    )
    store.append(task_events(task(1)), want=None)
    store.append(task_events(task(1, second=5, is_labeled=True)))
    store.append([annotation_event(4, "A", task=3)])
    assert store.jobs.list_jobs() == []  # ours, a bot's, a task that only moved, a duplicate

    store.append([annotation_event(7, "A", person=2)])
    assert [(work.kind, work.state) for work in store.jobs.list_jobs()] == [("turn", "wanted")]


def test_a_thousand_of_our_own_writes_are_no_work_and_no_votes(store: Store) -> None:
    store.annotations.create_own_annotations("1", annotations=range(1, 1001))
    webhooks = [
        annotation_event(number, "A", task=number, unique_id=own_unique_id(str(number))) for number in range(1, 1001)
    ]
    polls = [annotation_event(number, "A", task=number, source="poll", seen_s=5.0) for number in range(1, 1001)]

    assert store.append(webhooks).new == 1000
    assert store.append(polls).new == 0

    assert store.votes.list_votes("1") == []
    assert store.jobs.list_jobs() == []


def test_people_are_counted(store: Store) -> None:
    store.append(
        [
            annotation_event(5, "A", second=1),
            annotation_event(6, "B", second=2, task=2),
            skip_event(7, second=3),
            deletion_event(6),
        ]
    )
    store.append([annotation_event(8, "A", person=2, second=4)])

    counted = {
        row.id: (row.answers, row.skips, row.first_at, row.last_at) for row in store.annotations.list_annotators("1")
    }
    assert counted == {1: (1, 1, at(1), at(3)), 2: (1, 0, at(4), at(4))}
