"""A waiting worker learns of new work soon, whatever is lost on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest
from sqlalchemy import make_url

from feedback.errors import StoreError
from feedback.jobs.worker import PollingWaiter, Worker, make_waiter
from feedback.store import Store, open_store
from feedback.store.database.drivers import JobListener
from tests.support import postgres, stores


def test_polling_sees_what_is_due():
    answers = iter([False, False, True])

    assert PollingWaiter(lambda: next(answers), every_s=0.01).wait(1.0)


def test_a_database_that_is_away_ends_the_polling():
    def broken() -> bool:
        raise StoreError("away")

    assert not PollingWaiter(broken, every_s=0.01).wait(1.0)


def test_a_worker_on_sqlite_polls_the_job_rows(tmp_path: Path):
    store = stores.fresh(tmp_path / "store.db")
    waiter = make_waiter(store)
    assert not waiter.wait(0.01)

    store.jobs.request_job("1", "turn")

    assert waiter.wait(1.0)
    store.close()


def test_a_server_that_is_away_costs_the_wait_and_its_password_is_never_shown(caplog: pytest.LogCaptureFixture):
    slept: list[float] = []
    url = make_url("postgresql+psycopg://user:secret@/nowhere?host=/nonexistent")
    listener = JobListener(url, clock=lambda: 0.0, sleep=slept.append)

    assert not listener.wait(2.0)
    assert not listener.wait(2.0)  # not even tried again yet

    assert slept == [2.0, 2.0]  # as long as with a server, so that the worker does not spin
    assert "jobs are found by polling" in caplog.text
    assert "secret" not in caplog.text


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.running(fsync=False) as made:
        yield made


@pytest.fixture
def url(server: postgres.Server) -> Iterator[str]:
    made = server.database()
    yield made
    server.drop(made)


@pytest.fixture
def store_url(url: str) -> str:
    return url


@pytest.fixture
def store_options() -> dict[str, Any]:
    return {}  # as the service opens it


@contextmanager
def working(store: Store, *, tick_s: float) -> Iterator[list[tuple[str, float]]]:
    """A worker that is waiting; gives the projects that it ran, and when."""
    ran: list[tuple[str, float]] = []
    waiter = make_waiter(store)
    worker = Worker(
        store,
        {"turn": lambda project, _held: ran.append((project, time.monotonic()))},
        owner="w",
        tick_s=tick_s,
        waiter=waiter,
    )
    with mock.patch("feedback.jobs.worker.signal.signal"):  # only a main thread may set handlers
        thread = threading.Thread(target=worker.run)
        thread.start()
        time.sleep(0.5)  # it listens, and has looked
        try:
            yield ran
        finally:
            worker.stop()
            thread.join(10)
            assert isinstance(waiter, JobListener)
            waiter.close()
            assert not thread.is_alive()


def until_ran(ran: list[tuple[str, float]], n: int, *, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while len(ran) < n:
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def end_listeners(url: str) -> int:
    """End every connection that listens, as a network that drops it; gives how many there were."""
    address = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as admin:
        found = admin.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE query LIKE 'LISTEN%' AND datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.postgres
def test_a_request_wakes_a_waiting_worker_at_once(store: Store):
    waits = []
    poll_s = 5.0
    with working(store, tick_s=poll_s) as ran:
        for number in range(5):
            requested_s = time.monotonic()
            store.jobs.request_job(str(number), "turn")
            until_ran(ran, number + 1, within_s=2.0)
            waits.append(ran[-1][1] - requested_s)

    assert (
        sorted(waits)[2] < poll_s / 50
    )  # woken, not found by the poll; the median, since the machine may be busy once


@pytest.mark.postgres
def test_only_a_committed_request_wakes(store: Store):
    waiter = make_waiter(store)
    assert waiter.wait(1.0)  # it connects, and cannot know what came before

    with suppress(ZeroDivisionError), store.transaction():
        store.jobs.request_job("1", "turn")
        _ = 1 / 0
    assert not waiter.wait(0.2)
    store.jobs.request_job("1", "turn")

    assert waiter.wait(1.0)
    assert isinstance(waiter, JobListener)
    waiter.close()


@pytest.mark.postgres
def test_a_listener_whose_connection_was_killed_connects_again(store: Store, url: str):
    with working(store, tick_s=60.0) as ran:
        assert end_listeners(url) == 1
        time.sleep(0.5)
        store.jobs.request_job("1", "turn")  # nobody listens
        until_ran(ran, 1, within_s=10.0)  # found at the connect
        requested_s = time.monotonic()
        store.jobs.request_job("2", "turn")
        until_ran(ran, 2, within_s=10.0)

    assert ran[-1][1] - requested_s < 1.0


@pytest.mark.postgres
def test_no_work_is_missed_when_every_notification_is_lost(store: Store):
    with mock.patch("feedback.store.repositories.jobs.notify_workers"), working(store, tick_s=0.3) as ran:
        for number in range(20):
            store.jobs.request_job(str(number), "turn")
        until_ran(ran, 20, within_s=10.0)

    assert all(row.state == "idle" for row in store.jobs.list_jobs())


@pytest.mark.postgres
def test_a_server_that_comes_back_is_listened_to_again():
    with postgres.running() as server:
        store = open_store(server.database())
        waiter = make_waiter(store)
        assert waiter.wait(1.0)

        server.stop()
        assert not waiter.wait(0.2)
        server.start()
        deadline = time.monotonic() + 10.0
        while not waiter.wait(0.2):  # True at the connect
            assert time.monotonic() < deadline
        store.jobs.request_job("1", "turn")

        assert waiter.wait(1.0)
        assert isinstance(waiter, JobListener)
        waiter.close()
        store.close()
