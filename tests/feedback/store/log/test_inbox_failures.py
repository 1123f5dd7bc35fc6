"""Deliveries that cannot be ingested, and killed or concurrent workers, do not stop other deliveries."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from feedback.errors import StoreError
from feedback.store import Store, open_store
from feedback.store.log.event_log import Log
from feedback.store.log.events import event_from_project
from feedback.store.tables import main_tables
from tests.support.make_events import annotation_event, task, task_events


def test_a_failed_delivery_stays_with_its_reason_and_delays_no_other(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = Log.fold

    def picky(self: Log, batches: Any) -> Any:
        if any(event.entity_id == 6 for batch in batches for event in batch.events):
            raise ZeroDivisionError("of all things")
        return fold(self, batches)

    monkeypatch.setattr(Log, "fold", picky)
    picky_store = Store(store._database, store._box)
    for number in (5, 6, 7):
        picky_store.receive([annotation_event(number, "A", person=number)])

    assert picky_store.ingest_inbox() == 2

    assert {vote.annotation for vote in store.votes.list_votes("1")} == {5, 7}
    assert (store.get_inbox_status().deliveries, store.get_inbox_status().problems) == (
        0,
        ("ZeroDivisionError in test_inbox_failures.py, line 31",),
    )
    assert store.ingest_inbox(retry_failed=True) == 1
    assert {vote.annotation for vote in store.votes.list_votes("1")} == {5, 6, 7}
    assert store.get_inbox_status().problems == ()


def test_when_the_database_is_unreachable_no_delivery_fails_or_is_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raise_unreachable(self: Log, batches: Any) -> Any:
        raise StoreError("the database refused: disk I/O error") from OperationalError("x", {}, Exception("disk"))

    store.receive([annotation_event(5, "A")])
    with monkeypatch.context() as patch:
        patch.setattr(Log, "fold", raise_unreachable)
        with pytest.raises(StoreError, match="disk"):
            Store(store._database, store._box).ingest_inbox()

    assert (store.get_inbox_status().deliveries, store.get_inbox_status().problems) == (1, ())
    assert store.ingest_inbox() == 1


def test_a_process_killed_before_its_cleanup_ingests_nothing_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_connection: Any, _values: Any) -> int:
        raise KeyboardInterrupt

    store.receive([task_events(task(1))[0]])
    with monkeypatch.context() as patch:
        patch.setattr("feedback.store.log.inbox._DELETE", SimpleNamespace(run=die))
        with pytest.raises(KeyboardInterrupt):
            store.ingest_inbox()
    before = (store.get_inbox_status().deliveries, store.get_stats().events)

    assert store.ingest_inbox(retry_failed=True) == 0

    assert before == (1, 1)
    assert store.get_inbox_status().deliveries == 0
    assert store.get_stats().events == 1


def test_an_old_read_of_the_inbox_ingests_nothing_that_another_process_has_removed(
    url: str, opened: Callable[[str], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A taker may wait for the database so long that another one has done two rounds."""
    quick, slow = opened(url), opened(url)
    first = slow._inbox._first

    def waits() -> list[dict[str, Any]]:
        rows = first()
        if rows:
            quick.ingest_inbox()
            quick.receive([event_from_project("1", "new title", "<View/>", "webhook")])
            quick.ingest_inbox()
        return rows

    slow.receive([event_from_project("1", "old title", "<View/>", "webhook")])
    monkeypatch.setattr(slow._inbox, "_first", waits)

    assert slow.ingest_inbox() == 0

    assert quick.get_stats().events == 2
    with quick._database.read() as connection:
        assert connection.execute(select(main_tables.project_description.c.title)).scalar_one() == "new title"


def test_a_store_that_somebody_writes_to_for_long_receives_all_the_same(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", wait_s=0.2)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    store.receive([annotation_event(5, "A")])
    with pytest.raises(StoreError, match="locked"):
        store.ingest_inbox()

    other.execute("ROLLBACK")
    assert store.ingest_inbox() == 1
    other.close()
    store.close()


def test_concurrent_receivers_and_ingesters_store_each_event_once(url: str, opened: Callable[[str], Store]) -> None:
    stores = [opened(url), opened(url)]
    done = threading.Event()

    def receive(store: Store, first: int) -> None:
        for number in range(first, first + 30):
            store.receive([annotation_event(number, "A", task=number, person=number)])

    def take(store: Store) -> None:
        while not done.is_set():
            store.ingest_inbox()

    senders = [threading.Thread(target=receive, args=(stores[at % 2], 1 + 30 * at)) for at in range(4)]
    takers = [threading.Thread(target=take, args=(store,)) for store in stores]
    for thread in [*senders, *takers]:
        thread.start()
    for thread in senders:
        thread.join()
    done.set()
    for thread in takers:
        thread.join()

    assert stores[0].verify() == {"events": 120, "chain": "ok", "projection": "ok"}
    assert len(stores[0].votes.list_votes("1")) == 120
    assert stores[0].get_inbox_status().problems == ()


def test_an_inbox_that_is_damaged_is_named_with_what_to_do(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path / 'store.db'}").close()
    (tmp_path / "store-inbox.db").write_bytes(b"not a database at all" * 500)

    with pytest.raises(StoreError, match=r"store-inbox\.db: .*not a database") as refused:
        open_store(f"sqlite:///{tmp_path / 'store.db'}")

    assert "move it away" in refused.value.hint
    (tmp_path / "store-inbox.db").unlink()
    open_store(f"sqlite:///{tmp_path / 'store.db'}").close()
