from __future__ import annotations

import threading
import time

import pytest

from feedback.errors import LeaseLost, StoreError
from feedback.jobs.lease import lease
from feedback.store import JobClaim, Store


def _claim(store: Store, owner: str, lease_s: float) -> JobClaim:
    work = store.jobs.claim_job(owner, lease_s=lease_s)
    assert work is not None
    return work


def test_a_heartbeat_holds_work_for_longer_than_its_lease(store: Store) -> None:
    store.jobs.request_job("1", "turn")
    work = _claim(store, "ann", 0.3)

    with lease(store, work, beat_s=0.05) as held:
        time.sleep(0.6)
        assert store.jobs.claim_job("bob", lease_s=0.3) is None
        assert held.holds()
    store.jobs.finish_job(work)
    assert store.jobs.list_jobs()[0].state == "idle"


def test_a_job_whose_lease_was_lost_commits_nothing(store: Store) -> None:
    store.jobs.request_job("1", "turn")
    work = _claim(store, "ann", 0.05)

    def late() -> None:
        with lease(store, work, beat_s=60.0) as held:
            time.sleep(0.1)
            other = _claim(store, "bob", 60.0)
            assert not held.holds()
            with pytest.raises(LeaseLost), store.transaction(work):
                store.records.create_record("1", "verdict", {})
            store.jobs.finish_job(other)
            assert not held.holds()  # lost is lost, also when the other has finished

    with pytest.raises(LeaseLost):
        late()
    assert store.records.get_latest_record("1", "verdict") is None


def test_the_heartbeat_itself_notices_the_loss(store: Store) -> None:
    store.jobs.request_job("1", "turn")
    work = _claim(store, "ann", 0.01)
    time.sleep(0.05)
    _claim(store, "bob", 60.0)

    with pytest.raises(LeaseLost, match="passed to another worker"), lease(store, work, beat_s=0.01):
        time.sleep(0.1)


def test_a_failing_job_keeps_its_own_error(store: Store) -> None:
    store.jobs.request_job("1", "turn")
    work = _claim(store, "ann", 60.0)

    with pytest.raises(ZeroDivisionError), lease(store, work):
        _ = 1 / 0
    assert store.jobs.holds_lease(work)
    assert not any(thread.name.startswith("lease") for thread in threading.enumerate())


def test_a_database_that_is_away_for_a_moment_loses_no_lease(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.jobs.request_job("1", "turn")
    work = _claim(store, "ann", 60.0)
    beats = threading.Event()

    def away(_work: JobClaim) -> None:
        beats.set()
        raise StoreError("away")

    monkeypatch.setattr(store.jobs, "renew_lease", away)
    with lease(store, work, beat_s=0.01) as held:
        assert beats.wait(10)
        assert held.holds()
