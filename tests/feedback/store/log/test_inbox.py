"""What webhooks bring is durable at once, in the log soon after, and forgotten with whom it was about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from feedback.store import InboxStatus, Store, open_store
from feedback.store.log.event_log import Log
from feedback.store.log.events import Event
from feedback.store.tables import main_tables
from tests.support.clock import Clock
from tests.support.make_events import annotation_event, at, task, task_events
from tests.support.projections import projection_hash

_HOSTILE = {"result": [{"from_name": "c", "é\ud800": 2**70}], "unique_id": "a\x00b", "lead_time_s": 1e308}


def test_what_is_received_is_in_the_log_once_it_is_taken_in_and_wants_a_turn(store: Store) -> None:
    store.receive([*task_events(task(1)), annotation_event(5, "A", task=1)])
    before = (store.votes.list_votes("1"), store.get_inbox_status().deliveries, store.jobs.list_jobs())

    assert store.ingest_inbox() == 1

    assert before == ([], 1, [])
    assert [vote.annotation for vote in store.votes.list_votes("1")] == [5]
    assert [(row.project, row.kind) for row in store.jobs.list_jobs()] == [("1", "turn")]
    assert store.get_inbox_status().deliveries == 0
    assert store.ingest_inbox() == 0


def test_it_is_the_same_as_appending_it_directly(url: str, opened: Callable[[str], Store]) -> None:
    events = [
        *task_events(task(1, "é")),
        annotation_event(5, "A", task=1),
        replace(annotation_event(6, "B", task=1), body=_HOSTILE | {"task": 1}),
    ]
    direct, over = opened(url), events[::-1]
    direct.append(events)
    first = projection_hash(direct, "1")

    direct.receive(over)

    assert projection_hash(direct, "1") == first
    assert direct.verify() == {"events": len(events), "chain": "ok", "projection": "ok"}


def test_the_time_of_an_event_is_its_receipt_not_its_ingestion(store: Store, clock: Clock) -> None:
    received_s = clock.now_s
    store.receive([annotation_event(5, "A")])
    clock.now_s += 60.0

    store.ingest_inbox()

    with store._database.read() as connection:
        assert connection.execute(select(main_tables.event.c.received_s)).scalars().all() == [received_s]


@pytest.mark.parametrize(
    "look",
    [
        lambda store: store.verify()["events"],
        lambda store: store.rebuild(check=True) and store.verify()["events"],
        lambda store: store.append([annotation_event(5, "A")]).duplicates,
        lambda store: projection_hash(store, "1") and len(store.votes.list_votes("1")),
    ],
)
def test_reads_that_need_every_delivery_ingest_the_inbox_first(store: Store, look: Callable[[Store], int]) -> None:
    store.receive([annotation_event(5, "A")])

    assert look(store) == 1


def test_erasing_a_person_erases_their_deliveries_in_the_inbox(store: Store) -> None:
    store.receive([*task_events(task(1)), annotation_event(5, "A", task=1, person=3)])

    store.erasure.erase_data("1", person=3)

    assert store.get_inbox_status().deliveries == 0
    assert store.votes.list_votes("1") == []


def test_replaced_task_data_do_not_return_from_the_inbox(store: Store) -> None:
    store.append(task_events(task(1, "Xanthippe said so", second=1, created_at=at(0))))
    store.receive(task_events(task(1, "Xanthippe said so, too", second=2, created_at=at(0))))

    store.erasure.replace_task_data("1", task(1, "(forgotten)", second=2, created_at=at(0)))
    store.ingest_inbox()

    held = [main_tables.payload.c.body, main_tables.content.c.data]
    with store._database.read() as connection:
        kept = b"".join(row for column in held for row in connection.execute(select(column)).scalars())
    assert b"Xanthippe" not in kept
    assert [row.data["text"] for row in store.tasks.list_tasks("1")] == ["(forgotten)"]
    assert store.verify() | {"events": 0} == {"events": 0, "chain": "ok", "projection": "ok"}


@pytest.mark.parametrize("whom", [{"person": 3}, {"task": 9}])
def test_failed_deliveries_are_erased_too(store: Store, monkeypatch: pytest.MonkeyPatch, whom: dict[str, int]) -> None:
    def refuses(self: Log, batches: Any) -> Any:
        raise ZeroDivisionError("of all things")

    with monkeypatch.context() as broken:
        broken.setattr(Log, "fold", refuses)
        picky = Store(store._database, store._box)
        picky.receive([annotation_event(5, "A", task=9, person=3)])
        picky.receive([annotation_event(6, "A", task=8, person=4)])
        picky.ingest_inbox()
    assert len(store.get_inbox_status().problems) == 2

    store.erasure.erase_data("1", **whom)

    assert len(store.get_inbox_status().problems) == 1


def test_an_unreadable_delivery_does_not_prevent_an_erasure(store: Store) -> None:
    store.receive([annotation_event(5, "A", person=3)])
    with store._box.write() as connection:
        connection.execute(main_tables.inbox.update().values(delivery=b"half a deli"))
    store.ingest_inbox()

    store.erasure.erase_data("1", person=3)

    assert store.get_inbox_status() == InboxStatus(0, None)  # nobody can say that it was not about them


def test_no_more_is_read_at_once_than_memory_holds(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.store.log.inbox._AT_ONCE_BYTES", 3_500)
    for number, text in enumerate(("short", "x" * 5_000, "y" * 900, "z" * 900), start=1):
        store.receive(task_events(task(number, text)))
    rounds: list[int] = []
    take = store._inbox._ingest_rows

    def counted(rows: Any) -> int:
        rounds.append(len(rows))
        return take(rows)

    monkeypatch.setattr(store._inbox, "_ingest_rows", counted)

    assert store.ingest_inbox() == 4
    assert rounds == [1, 1, 2]
    assert store.verify()["events"] == 4


def test_keys_of_ingested_deliveries_are_deleted_once_the_deliveries_are(store: Store) -> None:
    for number in range(1, 121):
        store.receive([annotation_event(number, "A", task=number)])
    store.ingest_inbox()

    store.ingest_inbox(retry_failed=True)

    with store._database.read() as connection:
        assert connection.execute(select(main_tables.ingested_delivery)).all() == []


def test_no_file_contains_erased_data(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    store.receive([annotation_event(5, "Xanthippe", person=3)])

    store.erasure.erase_data("1", person=3)

    held = [path.name for path in tmp_path.iterdir() if b"Xanthippe" in path.read_bytes()]
    store.close()
    assert held == []


def test_an_empty_delivery_is_none(store: Store) -> None:
    store.receive(list[Event]())

    assert store.get_inbox_status().deliveries == 0
