"""Label Studio reuses the id of a deleted object: data of the old object never count for the new one."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, update

from feedback.store import CaseRow, CurrentDecision, Decision, ProjectRow, Signal, Store
from feedback.store.database.engine import Database
from feedback.store.log import events
from feedback.store.log.events import Event
from feedback.store.tables import main_tables
from ml_backend.labelstudio.parsing import own_unique_id
from tests.support.clock import Clock
from tests.support.make_events import annotation_event, at, deletion_event, labels, skip_event, task, task_events
from tests.support.projections import list_problems, projection_hash

FIRST, SECOND = at(1), at(30)  # when the first and the second thing of a number were made


def old_task(number: int = 1, text: str = "old", **more: Any) -> list[Event]:
    return task_events(task(number, text, second=2, created_at=FIRST), **more)


def new_task(number: int = 1, text: str = "new", **more: Any) -> list[Event]:
    return task_events(task(number, text, second=31, created_at=SECOND), **more)


def old(number: int = 5, label: str = "A", second: float = 3, **more: Any) -> Event:
    return annotation_event(number, label, second=second, created_at=at(1.5), **more)


def new(number: int = 5, label: str = "B", second: float = 33, **more: Any) -> Event:
    return annotation_event(number, label, second=second, created_at=at(32), **more)


def texts(store: Store) -> dict[int, str]:
    return {row.id: row.data["text"] for row in store.tasks.list_tasks("1")}


def whole(store: Store) -> bool:
    """Whether the log verifies and a rebuild changes nothing."""
    before = projection_hash(store, "1")
    assert store.verify() | {"events": 0} == {"events": 0, "chain": "ok", "projection": "ok"}
    return store.rebuild().ok and projection_hash(store, "1") == before


def test_a_task_imported_under_a_used_id_exists_without_the_former_votes(store: Store) -> None:
    store.append([*old_task(), old(), skip_event(6, created_at=at(1.6))])
    store.append([deletion_event(1, entity="task")])
    assert texts(store) == {}

    store.append(new_task())

    assert texts(store) == {1: "new"}
    assert (
        store.votes.list_votes("1"),
        store.annotations.list_skips("1"),
        store.annotations.list_annotations("1"),
        list_problems(store, "1"),
    ) == ([], [], [], [])
    store.append([new(7)])
    assert labels(store.votes.list_votes("1")) == {(1, 1): "B"}
    assert whole(store)


def test_a_task_under_a_used_id_is_another_task_without_a_reported_deletion(store: Store) -> None:
    """Label Studio tells a project's webhooks nothing when all of its tasks are deleted."""
    store.append([*old_task(), old()])

    assert store.append(new_task(text="old")).changed == 1  # the same text, and work all the same

    assert store.votes.list_votes("1") == []
    assert whole(store)


@pytest.mark.parametrize(("connected", "wanted"), [(True, [("sweep", "wanted")]), (False, [])])
def test_a_reused_id_without_a_reported_deletion_requests_a_sweep(
    store: Store, *, connected: bool, wanted: list[Any]
) -> None:
    """What else was deleted with it would stand until the next one."""
    store.projects.save_project(ProjectRow("1", title="t", label_config="<View/>", connected=connected))
    store.append([*old_task(1), *old_task(2), deletion_event(2, entity="task")], want=None)

    assert store.append(new_task(2), want=None).replaced == 0
    assert store.jobs.list_jobs() == []
    assert store.append(new_task(1), want=None).replaced == 1

    assert [(row.kind, row.state) for row in store.jobs.list_jobs()] == wanted


def test_an_annotation_id_may_be_reused(store: Store) -> None:
    store.append([old(), deletion_event(5)])
    assert store.votes.list_votes("1") == []

    store.append([new()])

    assert labels(store.votes.list_votes("1")) == {(1, 1): "B"}
    assert whole(store)


def test_after_a_second_deletion_a_third_lifetime_exists(store: Store) -> None:
    store.append([*old_task(), deletion_event(1, entity="task"), *new_task(), deletion_event(1, entity="task")])
    assert texts(store) == {}

    store.append(task_events(task(1, "third", second=41, created_at=at(40))))

    assert texts(store) == {1: "third"}
    assert whole(store)


def test_a_late_event_of_a_former_lifetime_changes_nothing(store: Store) -> None:
    store.append([*old_task(), deletion_event(1, entity="task"), *new_task()])

    store.append([*task_events(task(1, "late", second=9, created_at=FIRST))])
    store.append(events.deletions("1", "task", {1: FIRST}))  # by somebody who knew only the first

    assert texts(store) == {1: "new"}
    assert whole(store)


def test_a_deletion_of_an_unrecorded_thing_ends_all_lifetimes_created_until_then(store: Store, clock: Clock) -> None:
    store.append([deletion_event(1, entity="task"), deletion_event(5)])
    assert store.append([deletion_event(5)]).new == 0

    store.append([*old_task(), old()])
    assert (texts(store), store.votes.list_votes("1")) == ({}, [])

    later = "2030-01-01T00:00:00Z"  # after the deletion was told, by any clock
    store.append(task_events(task(1, "new", created_at=later, second=2)))
    assert texts(store) == {1: "new"}
    assert whole(store)


def test_a_later_api_read_overrules_a_deletion(store: Store, clock: Clock) -> None:
    """The deletion was that of an older thing, told late; or Label Studio was put back from a backup."""
    store.append([*old_task(), old(), deletion_event(1, entity="task"), deletion_event(5)])

    seen = [*old_task(source="sweep", seen_s=clock.now_s - 1), old(source="sweep", seen_s=clock.now_s - 1)]
    assert store.append(seen).changed == 0  # what was read before the deletion proves nothing
    clock.now_s += 60
    looked = [*old_task(source="sweep", seen_s=clock.now_s), old(source="sweep", seen_s=clock.now_s)]
    assert store.append(looked).changed == 2

    assert texts(store) == {1: "old"}
    assert labels(store.votes.list_votes("1")) == {(1, 1): "A"}
    assert store.append(looked).new == 0
    assert whole(store)
    store.append([deletion_event(5)])  # and may be deleted again
    assert store.votes.list_votes("1") == []
    assert whole(store)


def test_a_deletion_is_later_than_every_earlier_api_read(store: Store, clock: Clock) -> None:
    """Whoever looked has a clock that is an hour ahead."""
    store.append([old(source="sweep", seen_s=clock.now_s + 3600)])

    store.append([deletion_event(5)])

    assert store.votes.list_votes("1") == []
    assert whole(store)


def test_our_mark_on_an_annotation_does_not_pass_to_the_next_with_its_id(store: Store) -> None:
    store.append([old(unique_id=own_unique_id("final")), deletion_event(5)])

    store.append([new()])

    assert labels(store.votes.list_votes("1")) == {(1, 1): "B"}
    assert [row.answers for row in store.annotations.list_annotators("1")] == [1]
    assert whole(store)


def test_annotators_are_counted_by_existing_annotations(store: Store) -> None:
    store.append([old(person=1), deletion_event(5), new(person=2)])

    assert [(row.id, row.answers) for row in store.annotations.list_annotators("1")] == [
        (1, 0),
        (2, 1),
    ]
    assert whole(store)


def test_the_history_of_a_task_shows_a_deletion_without_a_version(store: Store) -> None:
    store.append([*old_task(), old(), deletion_event(5)])

    assert [(row.action, row.version) for row in store.events.list_task_history("1", 1)] == [
        ("saved", at(3)),
        ("deleted", ""),
    ]


def test_an_erased_thing_never_returns_but_its_id_may(store: Store, clock: Clock) -> None:
    store.append([*old_task(text="private"), old()])
    store.erasure.erase_data("1", task=1)
    clock.now_s += 60

    again = [*old_task(text="private", source="sweep", seen_s=clock.now_s), old(source="sweep", seen_s=clock.now_s)]
    assert store.append(again).new == 0
    store.append([*new_task(), new()])

    assert texts(store) == {1: "new"}
    assert labels(store.votes.list_votes("1")) == {(1, 1): "B"}
    assert whole(store)


def test_erasing_a_person_leaves_the_annotation_that_has_the_id_now(store: Store) -> None:
    store.append([old(person=1), deletion_event(5), new(person=2)])

    assert store.erasure.erase_data("1", person=1).annotations == (5,)

    assert labels(store.votes.list_votes("1")) == {(1, 2): "B"}
    assert [row.id for row in store.annotations.list_annotators("1")] == [2]
    assert store.events.list_versions_by_person("1", 1) == []
    assert whole(store)


def test_erasing_the_current_holder_of_an_id_erases_the_former_one_too(store: Store) -> None:
    store.append([old(person=1), deletion_event(5), new(person=2)])

    store.erasure.erase_data("1", person=2)

    assert store.votes.list_votes("1") == []
    assert whole(store)
    store.append([old(person=1), new(person=2)])
    assert store.votes.list_votes("1") == []


@pytest.mark.parametrize("first", [True, False])
def test_a_log_without_named_lifetimes_reads_as_before(store: Store, *, first: bool) -> None:
    """Deletions once named no life: they end what was there when they were received."""
    store.append([deletion_event(5), old()] if first else [old(), deletion_event(5)])
    with store._database.write() as connection:
        of_old = update(main_tables.event).where(main_tables.event.c.action == "deleted").values(version="", seen_s=0.0)
        connection.execute(of_old)

    store.rebuild()

    assert store.votes.list_votes("1") == []
    store.append([new(second=40, source="sweep", seen_s=1.0)])
    assert store.votes.list_votes("1") == []  # nothing of before the deletion was received, as far as is known


def test_cases_of_a_reused_id_are_changed_under_the_lock_of_all_moves(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append(task_events(task(1, "first", second=1, created_at=at(1))))
    store.cases.create_cases([CaseRow("1", 1, "open", "L2")], "open")
    lock, names = Database.lock, list[str]()

    def spy(database: Database, connection: Connection, name: str) -> None:
        names.append(name)
        lock(database, connection, name)

    monkeypatch.setattr(Database, "lock", spy)
    store.append(task_events(task(1, "second", second=20, created_at=at(20))))

    assert "cases 1" in names


def test_decisions_about_a_task_do_not_apply_to_the_next_with_its_id(store: Store) -> None:
    """Twice: a case for each of three tasks that had the number 1."""
    stands = CurrentDecision("r", "first", "p", "m", "", "normal", "", None)
    for creation_time in (1, 20, 40):
        store.append(task_events(task(1, f"text {creation_time}", second=creation_time, created_at=at(creation_time))))
        assert (
            [row for row in store.cases.list_cases("1") if row.task == 1],
            store.decisions.list_current_decisions("1").get(1),
            store.tasks.list_hidden_tasks("1"),
        ) == ([], None, {})
        assert store.signals.list_newest_signals("1").get(1) is None
        (case,) = store.cases.create_cases([CaseRow("1", 1, "open", "L2")], "open")
        assert case.task == 1
        store.decisions.create_decisions("1", [Decision(1, 5.0, "c", stands, {})])
        store.signals.create_signal(Signal("1", "complaint", value=True, task=1, at_s=5.0, key=f"key {creation_time}"))
        store.tasks.create_hidden_tasks("1", [1])

    assert sorted(row.task for row in store.cases.list_cases("1"))[-1] == 1
    assert len(store.cases.list_cases("1")) == 3  # their trails are kept
    assert len(store.decisions.list_decisions("1")) == 3
    store.append(task_events(task(1, "changed", second=50, created_at=at(40))))  # a new version is the same task
    assert store.tasks.list_hidden_tasks("1").keys() == {1}
    assert whole(store)
