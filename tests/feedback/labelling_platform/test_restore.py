"""A restored answer belongs to its author; an answer that no person gave is still not a vote."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

import pytest

from feedback.errors import FeedbackError
from feedback.labelling_platform.restore import restore
from feedback.store import ProjectRow, Store
from feedback.store.log import events
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.parsing import own_unique_id, read_annotation, read_webhook
from tests.support.make_events import annotation_event, at, deletion_event, skip_event, task, task_events

CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="A"/><Choice value="B"/>'
    "</Choices></View>"
)


class FakeClient:
    """The part of Label Studio that takes annotations."""

    def __init__(self, predictions: tuple[int, ...] = ()) -> None:
        self.made: list[dict[str, Any]] = []
        self.predictions = predictions
        self.killed = False

    def submit(self, task: int, result: Any, *, skip: bool = False, **fields: Any) -> dict[str, Any]:
        UUID(fields["unique_id"])  # Label Studio answers 500 to anything else
        if any(item["unique_id"] == fields["unique_id"] for item in self.made):
            raise LabelStudioError("unique_id exists", status=409)
        row = {"id": 900 + len(self.made), "task": task, "result": list(result), "was_cancelled": skip, **fields}
        row |= {"created_at": at(50), "updated_at": at(50), "updated_by": 99}
        self.made.append(row)
        if self.killed:
            raise KeyboardInterrupt
        return row

    def read(self) -> dict[str, Any]:
        """The last annotation as REST shows it: without its unique_id."""
        return {name: value for name, value in self.made[-1].items() if name != "unique_id"}

    def prediction(self, number: int) -> dict[str, Any] | None:
        return {"id": number} if number in self.predictions else None


@pytest.fixture
def store_with_task(store: Store) -> Store:
    store.projects.save_project(ProjectRow("1", title="t", label_config=CONFIG))
    store.append(task_events(task(1)))
    return store


def brought_back(store: Store, client: FakeClient, number: int) -> int:
    return restore(store, cast(Client, client), "1", number)


def version(store: Store, label: str) -> int:
    found = [event for event in store.events.list_task_history("1", 1) if label in str(event.body)]
    return found[0].seq


def test_a_deleted_answer_comes_back_as_its_authors(store_with_task: Store):
    store_with_task.append(
        [
            annotation_event(5, "A", person=7, lead_time_s=3.5),
            annotation_event(5, "B", person=7, second=2),
            deletion_event(5),
        ]
    )
    client = FakeClient()
    assert store_with_task.votes.list_votes("1") == []

    brought_back(store_with_task, client, version(store_with_task, "'A'"))

    (vote,) = store_with_task.votes.list_votes("1")
    assert (vote.person, vote.answer.value, vote.lead_time_s) == (7, ("A",), 3.5)


def test_an_earlier_version_counts_again_instead_of_the_later_one(store_with_task: Store):
    store_with_task.append([annotation_event(5, "A", person=7), annotation_event(5, "B", person=7, second=2)])

    brought_back(store_with_task, FakeClient(), version(store_with_task, "'A'"))

    assert [vote.answer.value for vote in store_with_task.votes.list_votes("1")] == [("A",)]


def test_twice_is_once(store_with_task: Store):
    store_with_task.append([annotation_event(5, "A", person=7), deletion_event(5)])
    client, number = FakeClient(), version(store_with_task, "'A'")

    brought_back(store_with_task, client, number)
    with pytest.raises(FeedbackError, match="restored before"):
        brought_back(store_with_task, client, number)

    assert len(client.made) == 1


@pytest.mark.parametrize("fields", [{"unique_id": own_unique_id("1")}, {"imported": True}])
def test_what_no_person_answered_stays_no_vote(store_with_task: Store, fields: dict[str, Any]):
    store_with_task.append([annotation_event(5, "A", person=7, **fields), deletion_event(5)])

    brought_back(store_with_task, FakeClient(), version(store_with_task, "'A'"))

    assert store_with_task.votes.list_votes("1") == []


@pytest.mark.parametrize("arrival", ["by poll", "by webhook"])
@pytest.mark.parametrize("fields", [{"unique_id": own_unique_id("1")}, {"imported": True}])
def test_a_kill_right_after_the_write_makes_no_vote_of_it(store_with_task: Store, fields: dict[str, Any], arrival: str):
    """The writer is no bot, died before it could remember the number, and of webhook and poll only one came through."""
    store_with_task.append([annotation_event(5, "A", person=7, **fields), deletion_event(5)])
    client = FakeClient()
    client.killed = True

    with pytest.raises(KeyboardInterrupt):
        brought_back(store_with_task, client, version(store_with_task, "'A'"))
    if arrival == "by poll":
        store_with_task.append([events.event_from_annotation(read_annotation(client.read(), "1"), "poll", seen_s=1.0)])
    else:
        body = {"action": "ANNOTATION_CREATED", "annotation": client.made[-1], "project": {"id": 1}}
        store_with_task.append(events.events_from_webhook(read_webhook(body)))

    assert [annotation.id for annotation in store_with_task.annotations.list_annotations("1")] == [900]
    assert store_with_task.votes.list_votes("1") == []


def test_an_answer_is_not_brought_back_to_another_task_with_the_number_of_its_own(store_with_task: Store):
    store_with_task.append([annotation_event(5, "A", person=7, created_at=at(2))])
    store_with_task.append(task_events(task(1, "another", second=31, created_at=at(30))))

    with pytest.raises(FeedbackError, match="another task has its number"):
        brought_back(store_with_task, FakeClient(), version(store_with_task, "'A'"))


def test_a_skip_comes_back_as_a_skip(store_with_task: Store):
    store_with_task.append([skip_event(5, person=7), deletion_event(5)])
    client = FakeClient()

    brought_back(store_with_task, client, version(store_with_task, "was_cancelled"))

    assert client.made[0]["was_cancelled"]
    assert [annotation.person for annotation in store_with_task.annotations.list_skips("1")] == [7]


def test_what_was_shown_is_named_only_while_it_exists(store_with_task: Store):
    store_with_task.append(
        [
            annotation_event(5, "A", person=7, parent_prediction=30),
            annotation_event(6, "B", person=7, parent_prediction=31),
        ]
    )
    client = FakeClient(predictions=(31,))

    brought_back(store_with_task, client, version(store_with_task, "'A'"))
    brought_back(store_with_task, client, version(store_with_task, "'B'"))

    assert [row.get("parent_prediction") for row in client.made] == [None, 31]


def test_what_cannot_be_restored_has_a_reason(store_with_task: Store):
    store_with_task.append(
        [
            annotation_event(5, "A", person=7),
            deletion_event(5),
            *task_events(task(2)),
            annotation_event(6, "B", task=2, person=8),
        ]
    )
    removal = next(event.seq for event in store_with_task.events.list_task_history("1", 1) if event.action == "deleted")
    erased, gone = version(store_with_task, "'A'"), store_with_task.events.list_task_history("1", 2)[0].seq
    store_with_task.append([deletion_event(2, entity="task")])
    store_with_task.erasure.erase_data("1", person=7)

    for number, message in (
        (removal, "a deletion"),
        (erased, "erased"),
        (999, "no version"),
        (gone, "gone"),
    ):
        with pytest.raises(FeedbackError, match=message):
            brought_back(store_with_task, FakeClient(), number)
