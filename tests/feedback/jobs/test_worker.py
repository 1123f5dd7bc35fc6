"""The worker over a real store: what is wanted is run, once, and says how it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest

from feedback.errors import LeaseLost, StoreError
from feedback.jobs.worker import Held, Job, PollingWaiter, Waiter, Worker, lease, run_held
from feedback.store import JobClaim, Store, open_store


class NeverWoken:
    """Loses every notification."""

    def wait(self, timeout_s: float) -> bool:
        time.sleep(timeout_s)
        return False


def worker(store: Store, job: Job, *, tick_s: float = 0.05, waiter: Waiter | None = None) -> Worker:
    return Worker(store, {"turn": job}, owner="w", tick_s=tick_s, waiter=waiter or NeverWoken())


@contextmanager
def running(one: Worker) -> Iterator[None]:
    with mock.patch("feedback.jobs.worker.signal.signal"):  # only a main thread may set handlers
        thread = threading.Thread(target=one.run)
        thread.start()
        try:
            yield
        finally:
            one.stop()
            thread.join(10)
            assert not thread.is_alive()


def until(true: Callable[[], bool], *, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def state(store: Store) -> str:
    (row,) = store.jobs.list_jobs()
    return row.state


def test_a_job_that_ends_is_done_and_not_run_again(store: Store):
    ran: list[str] = []
    one = worker(store, lambda project, held: ran.append(project))
    store.jobs.request_job("1", "turn")

    assert one.step()
    assert not one.step()

    assert ran == ["1"]
    assert state(store) == "idle"


def test_a_job_that_fails_is_tried_again_later_with_its_reason(store: Store):
    def fail(project: str, held: Held) -> None:
        raise ValueError("no such thing")

    store.jobs.request_job("1", "turn")
    assert worker(store, fail).step()

    (row,) = store.jobs.list_jobs()
    assert (row.state, row.tries, row.reason) == ("wanted", 1, "ValueError: no such thing")


def test_what_is_wanted_while_it_runs_is_run_again(store: Store):
    ran: list[str] = []

    def job(project: str, held: Held) -> None:
        if not ran:
            store.jobs.request_job("1", "turn")
        ran.append(project)

    store.jobs.request_job("1", "turn")
    one = worker(store, job)
    while one.step():
        pass

    assert ran == ["1", "1"]


def test_a_poisoned_project_is_parked_and_blocks_no_other(tmp_path: Path):
    now = [1000.0]
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", clock=lambda: now[0], durability="normal")
    ran: list[str] = []

    def job(project: str, held: Held) -> None:
        if project == "1":
            raise RuntimeError("poison")
        ran.append(project)

    one = worker(store, job)
    for _ in range(6):
        store.jobs.request_job("1", "turn")
        store.jobs.request_job("2", "turn")
        while one.step():
            pass
        now[0] += 60.0

    states = {row.project: (row.state, row.reason) for row in store.jobs.list_jobs()}
    assert states["1"] == ("parked", "RuntimeError: poison")
    assert len(ran) == 6
    store.close()


def test_a_job_whose_lease_was_taken_marks_nothing(store: Store):
    store.jobs.request_job("1", "turn")
    claim = store.jobs.claim_job("a", lease_s=0.0, kinds=("turn",))
    assert claim is not None

    def job(project: str, held: Held) -> None:
        assert store.jobs.claim_job("b", lease_s=30.0, kinds=("turn",)) is not None

    with pytest.raises(LeaseLost):
        run_held(store, claim, job)
    assert state(store) == "running"  # b's


def test_every_notification_may_be_lost_and_no_work_is(store: Store):
    ran: list[str] = []
    with running(worker(store, lambda project, held: ran.append(project), waiter=NeverWoken())):
        for number in range(20):
            store.jobs.request_job(str(number), "turn")

        until(lambda: len(set(ran)) == 20)
    assert all(row.state == "idle" for row in store.jobs.list_jobs())


def test_polling_finds_work_long_before_the_tick(store: Store):
    ran: list[float] = []
    polling = PollingWaiter(lambda: any(row.state == "wanted" for row in store.jobs.list_jobs()), every_s=0.05)
    with running(worker(store, lambda project, held: ran.append(time.monotonic()), tick_s=60.0, waiter=polling)):
        time.sleep(0.2)
        wanted = time.monotonic()
        store.jobs.request_job("1", "turn")

        until(lambda: bool(ran))
    assert ran[0] - wanted < 2.0


def _claim(store: Store, owner: str, lease_s: float) -> JobClaim:
    claim = store.jobs.claim_job(owner, lease_s=lease_s)
    assert claim is not None
    return claim


def test_a_heartbeat_holds_work_for_longer_than_its_lease(store: Store) -> None:
    store.jobs.request_job("1", "turn")
    claim = _claim(store, "ann", 0.3)

    with lease(store, claim, beat_s=0.05) as held:
        time.sleep(0.6)
        assert store.jobs.claim_job("bob", lease_s=0.3) is None
        assert held.holds()
    store.jobs.finish_job(claim)
    assert store.jobs.list_jobs()[0].state == "idle"


def test_a_job_whose_lease_was_lost_commits_nothing(store: Store) -> None:
    store.jobs.request_job("1", "turn")
    claim = _claim(store, "ann", 0.05)

    def late() -> None:
        with lease(store, claim, beat_s=60.0) as held:
            time.sleep(0.1)
            other = _claim(store, "bob", 60.0)
            assert not held.holds()
            with pytest.raises(LeaseLost), store.transaction(claim):
                store.records.create_record("1", "verdict", {})
            store.jobs.finish_job(other)
            assert not held.holds()  # lost is lost, also when the other has finished

    with pytest.raises(LeaseLost):
        late()
    assert store.records.get_latest_record("1", "verdict") is None


def test_the_heartbeat_itself_notices_the_loss(store: Store) -> None:
    store.jobs.request_job("1", "turn")
    claim = _claim(store, "ann", 0.01)
    time.sleep(0.05)
    _claim(store, "bob", 60.0)

    with pytest.raises(LeaseLost, match="passed to another worker"), lease(store, claim, beat_s=0.01):
        time.sleep(0.1)


def test_a_failing_job_keeps_its_own_error(store: Store) -> None:
    store.jobs.request_job("1", "turn")
    claim = _claim(store, "ann", 60.0)

    with pytest.raises(ZeroDivisionError), lease(store, claim):
        _ = 1 / 0
    assert store.jobs.holds_lease(claim)
    assert not any(thread.name.startswith("lease") for thread in threading.enumerate())


def test_a_database_that_is_away_for_a_moment_loses_no_lease(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.jobs.request_job("1", "turn")
    claim = _claim(store, "ann", 60.0)
    beats = threading.Event()

    def raise_unavailable(_work: JobClaim) -> None:
        beats.set()
        raise StoreError("away")

    monkeypatch.setattr(store.jobs, "renew_lease", raise_unavailable)
    with lease(store, claim, beat_s=0.01) as held:
        assert beats.wait(10)
        assert held.holds()
