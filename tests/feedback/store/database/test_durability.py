"""Acknowledged data survive every kill; a failing batch does not affect others."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from feedback.errors import StoreError
from feedback.store import Store, open_store
from tests.support import postgres, stores
from tests.support.make_events import annotation_event, task, task_events

_WRITER = """
import sys, threading
from feedback.store import open_store
from tests.support.make_events import annotation_event, task, task_events

store = open_store(sys.argv[1])
out = threading.Lock()

def write(first):
    for number in range(first, first + 100_000):
        store.append([*task_events(task(number)), annotation_event(number, "A", task=number)])
        with out:
            print(number, flush=True)

for first in (1, 200_001, 400_001):
    threading.Thread(target=write, args=(first,)).start()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """A server that brings each commit to the disk, as one at work does."""
    with postgres.running() as running:
        yield running


@pytest.fixture(params=stores.BOTH)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return stores.bare(request, tmp_path / "store.db")


@pytest.mark.slow
def test_a_writer_that_is_killed_lost_nothing_it_acknowledged(url: str, opened: Callable[[str], Store]) -> None:
    opened(url)
    acknowledged: set[int] = set()
    for after_s in (0.05, 0.3, 0.6):
        root = Path(__file__).parents[4]
        with subprocess.Popen([sys.executable, "-c", _WRITER, url], stdout=subprocess.PIPE, cwd=root) as writer:
            assert writer.stdout is not None
            acknowledged.add(int(writer.stdout.readline()))  # it is under way
            time.sleep(after_s)
            writer.send_signal(signal.SIGKILL)
            acknowledged.update(int(line) for line in writer.stdout.read().splitlines())

    store = opened(url)
    votes = {vote.task for vote in store.votes.list_votes("1")}
    assert acknowledged <= votes
    assert store.verify()["chain"] == "ok"
    assert store.verify()["projection"] == "ok"


def test_threads_and_processes_write_at_once(url: str, opened: Callable[[str], Store]) -> None:
    stores = [opened(url), opened(url)]

    def write(store: Store, first: int) -> None:
        for number in range(first, first + 40):
            store.append([*task_events(task(number)), annotation_event(number, "A", task=number)])

    threads = [threading.Thread(target=write, args=(stores[at % 2], 1 + at * 40)) for at in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(stores[0].votes.list_votes("1")) == 240
    assert stores[0].verify() == {"events": 480, "chain": "ok", "projection": "ok"}


def test_a_failed_transaction_stores_nothing(store: Store) -> None:
    def fail() -> None:
        with store.transaction():
            store.append([annotation_event(5, "A")])
            store.records.create_record("1", "finding", {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert store.votes.list_votes("1") == []
    assert store.records.get_latest_record("1", "finding") is None
    assert store.verify()["events"] == 0


def test_a_transaction_sees_what_it_wrote_itself(store: Store) -> None:
    with store.transaction():
        store.append([annotation_event(5, "A")])
        assert len(store.votes.list_votes("1")) == 1


@pytest.mark.postgres
@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_statement_that_postgresql_refuses_in_a_batch_raises_and_stores_nothing(store: Store) -> None:
    """The statements of a commit are sent together: the refusal comes when others were sent already."""
    with store._database.write() as connection:
        connection.execute(text("ALTER TABLE payload ADD CONSTRAINT no CHECK (seq < 2)"))

    store.append([annotation_event(5, "A")])
    with pytest.raises(StoreError, match='violates check constraint "no"'):
        store.append([annotation_event(6, "A", person=2)])
    assert store.verify() == {"events": 1, "chain": "ok", "projection": "ok"}

    with store._database.write() as connection:
        connection.execute(text("ALTER TABLE payload DROP CONSTRAINT no"))
    store.append([annotation_event(6, "A", person=2)])
    assert store.verify() == {"events": 2, "chain": "ok", "projection": "ok"}


def test_a_database_that_another_program_holds_is_an_error_not_a_hang(tmp_path: Path) -> None:
    import sqlite3

    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", wait_s=0.2)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreError, match="locked"):
        store.append([annotation_event(5, "A")])
    assert store.votes.list_votes("1") == []  # reading goes on

    other.execute("ROLLBACK")
    store.append([annotation_event(5, "A")])
    assert len(store.votes.list_votes("1")) == 1
    other.close()
    store.close()


def test_after_a_write_that_failed_every_reader_waits_as_long_as_before(tmp_path: Path) -> None:
    """A writer asks for the lock itself and is told to wait for nothing; it must not go on as a reader."""
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", wait_s=7.0)
    with suppress(ZeroDivisionError), store.transaction():
        store.append([annotation_event(5, "A")])
        raise ZeroDivisionError

    with ExitStack() as stack:
        readers = [stack.enter_context(store._database.engine.connect()) for _ in range(8)]
        patience = {reader.exec_driver_sql("PRAGMA busy_timeout").scalar() for reader in readers}

    assert patience == {7000}
    assert store.votes.list_votes("1") == []
    store.close()


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    store.append([annotation_event(5, "A")])
    with store._database.write() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    _limit(store, int(pages))

    with pytest.raises(StoreError, match=r"full\.$"):
        store.append(task_events(*(task(number, "x" * 5000) for number in range(10, 500))))
    _limit(store, 1_000_000)
    store.append([annotation_event(6, "B", person=2)])

    assert len(store.votes.list_votes("1")) == 2
    assert store.verify()["chain"] == "ok"
    store.close()


def _limit(store: Store, pages: int) -> None:
    """A file that may not grow, for every connection of the pool."""
    store._database.close()  # they come back with the limit
    from sqlalchemy import event

    @event.listens_for(store._database.engine, "connect")
    def _on_connect(raw: object, _record: object) -> None:
        raw.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[attr-defined]


@pytest.mark.postgres
def test_after_a_server_restart_the_store_reconnects(clock: Callable[[], float]) -> None:
    with postgres.running() as server:
        store = open_store(server.database(), clock=clock)
        store.append([annotation_event(5, "A")])
        server.stop()
        with pytest.raises(StoreError):
            store.append([annotation_event(6, "A", person=2)])
        server.start()

        store.append([annotation_event(7, "A", person=3)])
        assert sorted(vote.person for vote in store.votes.list_votes("1")) == [1, 3]
        store.close()
