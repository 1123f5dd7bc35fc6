"""The log proves itself: whatever is altered below the store is found and named."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, update

from feedback.store import Store
from feedback.store.tables import main_tables
from tests.support.make_events import annotation_event, deletion_event, labels, skip_event, task, task_events
from tests.support.projections import projection_hash


@pytest.fixture
def store_with_events(store: Store) -> Store:
    store.append(
        [
            *task_events(task(1), task(2)),
            annotation_event(5, "A"),
            annotation_event(5, "B", second=2),
            skip_event(6, person=2),
        ]
    )
    store.append([annotation_event(7, "A", task=2), deletion_event(6), annotation_event(8, "A", project="2")])
    assert store.verify() == {"events": 8, "chain": "ok", "projection": "ok"}
    return store


def _alter(store: Store, statement: object) -> None:
    with store._database.write() as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def test_an_altered_event_is_named(store_with_events: Store) -> None:
    _alter(
        store_with_events,
        update(main_tables.event)
        .where(main_tables.event.c.seq == 3, main_tables.event.c.project == "1")
        .values(entity_id=9),
    )

    assert "project 1, event 3 was altered" in store_with_events.verify()["chain"]
    assert store_with_events.verify()["events"] == 8
    assert store_with_events.verify("2")["chain"] == "ok"


def test_an_altered_payload_is_named(store_with_events: Store) -> None:
    _alter(store_with_events, update(main_tables.payload).where(main_tables.payload.c.seq == 4).values(body=b"{}"))

    assert "project 1, event 4 has a changed payload" in store_with_events.verify()["chain"]


def test_a_payload_deleted_without_an_erasure_breaks_the_chain(store_with_events: Store) -> None:
    _alter(store_with_events, delete(main_tables.payload).where(main_tables.payload.c.seq == 4))

    assert "project 1, event 4 lost its payload" in store_with_events.verify()["chain"]


def test_a_removed_event_breaks_the_chain(store_with_events: Store) -> None:
    _alter(
        store_with_events,
        delete(main_tables.event).where(main_tables.event.c.project == "1", main_tables.event.c.seq == 2),
    )

    assert "project 1, event 2 is missing" in store_with_events.verify()["chain"]


def test_a_removed_last_event_breaks_the_chain(store_with_events: Store) -> None:
    _alter(
        store_with_events,
        delete(main_tables.event).where(main_tables.event.c.project == "1", main_tables.event.c.seq == 7),
    )

    assert "project 1 ends at event 6, its head names 7" in store_with_events.verify()["chain"]


def test_a_head_that_was_removed_hides_no_project(store_with_events: Store) -> None:
    _alter(store_with_events, delete(main_tables.chain).where(main_tables.chain.c.project == "1"))

    assert store_with_events.verify() == {
        "events": 8,
        "chain": "project 1 ends at event 7, its head names none.",
        "projection": "ok",
    }


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        ("UPDATE payload SET body = replace(body, 'A', 'B') WHERE project = '1'", "a changed payload"),
        ("UPDATE payload SET salt = 7 WHERE project = '1'", "a changed payload"),
        ("UPDATE event SET version = x'ff' WHERE project = '1'", "was altered"),
        ("UPDATE content SET data = 'other'", "are not those that were chained"),
    ],
)
def test_an_edit_by_hand_that_leaves_another_type_is_a_break_like_any_other(
    tmp_path: Path, opened: Callable[[str], Store], edit: str, found: str
) -> None:
    store = opened(f"sqlite:///{tmp_path / 'edited.db'}")
    store.append([*task_events(task(1)), annotation_event(5, "A")])
    with sqlite3.connect(tmp_path / "edited.db") as by_hand:
        by_hand.execute(edit)
    by_hand.close()

    found_by_verify = store.verify()

    assert found_by_verify["events"] == len(task_events(task(1))) + 1
    assert found in found_by_verify["chain"]


def test_an_end_that_was_cut_off_with_its_head_shows_in_what_was_left_of_it(store_with_events: Store) -> None:
    _alter(
        store_with_events,
        delete(main_tables.event).where(main_tables.event.c.project == "1", main_tables.event.c.seq == 7),
    )
    with store_with_events._database.read() as connection:
        before = connection.execute(
            select(main_tables.event.c.hash).where(main_tables.event.c.project == "1", main_tables.event.c.seq == 6)
        ).scalar_one()
    _alter(
        store_with_events,
        update(main_tables.chain).where(main_tables.chain.c.project == "1").values(seq=6, hash=before),
    )

    assert "project 1 ends at event 6, and a payload of event 7 is kept" in store_with_events.verify()["chain"]


def test_altered_task_data_are_named(store_with_events: Store) -> None:
    _alter(
        store_with_events,
        update(main_tables.content).where(main_tables.content.c.task == 2).values(data=b'{"text":"other"}'),
    )

    assert "the data of task 2 are not those" in store_with_events.verify()["chain"]


def test_missing_task_data_are_named(store_with_events: Store) -> None:
    _alter(store_with_events, delete(main_tables.content).where(main_tables.content.c.task == 2))

    assert "the data of task 2 are missing" in store_with_events.verify()["chain"]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            update(main_tables.vote).where(main_tables.vote.c.annotation == 5).values(answer='["choices",["A"]]'),
            "vote 5 differs in",
        ),
        (delete(main_tables.vote).where(main_tables.vote.c.annotation == 7), "vote 7 is missing"),
        (delete(main_tables.task).where(main_tables.task.c.id == 2), "task 2 is missing"),
        (
            update(main_tables.annotation).where(main_tables.annotation.c.id == 6).values(is_deleted=False),
            "annotation 6 differs in is_deleted",
        ),
        (
            update(main_tables.person).where(main_tables.person.c.id == 1).values(answers=9),
            "person 1 differs in answers",
        ),
        (
            insert(main_tables.person).values(project="1", id=77, answers=1, skips=0, first_at="", last_at=""),
            "person 77 is in no event",
        ),
    ],
)
def test_a_projection_that_does_not_follow_from_the_log_is_named_and_rebuilt(
    store_with_events: Store, statement: object, found: str
) -> None:
    before = projection_hash(store_with_events, "1")
    _alter(store_with_events, statement)

    assert store_with_events.verify()["chain"] == "ok"
    assert found in store_with_events.verify()["projection"]
    assert found in store_with_events.rebuild(check=True).differs
    assert not store_with_events.rebuild(check=True).ok

    assert store_with_events.rebuild().ok
    assert store_with_events.verify() == {"events": 8, "chain": "ok", "projection": "ok"}
    assert projection_hash(store_with_events, "1") == before
    assert labels(store_with_events.votes.list_votes("1")) == {(1, 1): "B", (2, 1): "A"}


def test_projections_that_were_lost_altogether_are_rebuilt(store_with_events: Store) -> None:
    before = [projection_hash(store_with_events, "1"), projection_hash(store_with_events, "2")]
    for table in (
        main_tables.annotation,
        main_tables.task,
        main_tables.vote,
        main_tables.person,
        main_tables.project_description,
    ):
        _alter(store_with_events, delete(table))

    assert store_with_events.rebuild().ok
    assert [projection_hash(store_with_events, "1"), projection_hash(store_with_events, "2")] == before


def test_equal_payloads_have_different_hashes_in_the_chain(store: Store) -> None:
    store.append([deletion_event(1), deletion_event(2), deletion_event(3)])

    with store._database.read() as connection:
        hashes = set(connection.execute(select(main_tables.event.c.payload_hash)).scalars())
    assert len(hashes) == 3
