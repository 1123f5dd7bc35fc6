from __future__ import annotations

import pytest

from feedback.errors import LeaseLost
from feedback.store import JobClaim, Store
from tests.support.clock import Clock


def _claim(store: Store, owner: str = "ann") -> JobClaim:
    claim = store.jobs.claim_job(owner, lease_s=30.0)
    assert claim is not None
    return claim


def test_many_requests_are_one_run(store: Store) -> None:
    for _ in range(100):
        store.jobs.request_job("1", "turn")

    store.jobs.finish_job(_claim(store))
    assert store.jobs.claim_job("ann", lease_s=30.0) is None


def test_a_want_during_a_run_leads_to_another_run(store: Store) -> None:
    store.jobs.request_job("1", "turn")
    claim = _claim(store)
    store.jobs.request_job("1", "turn")
    assert store.jobs.claim_job("bob", lease_s=30.0) is None  # nobody runs it twice at a time

    store.jobs.finish_job(claim)
    store.jobs.finish_job(_claim(store, "bob"))
    assert [row.state for row in store.jobs.list_jobs()] == ["idle"]


def test_the_longest_waiting_project_comes_first(store: Store, clock: Clock) -> None:
    for project in ("3", "1", "2"):
        store.jobs.request_job(project, "turn")
        clock.now_s += 1

    assert [_claim(store).project for _ in range(3)] == ["3", "1", "2"]


def test_a_worker_takes_only_the_kinds_that_it_knows(store: Store) -> None:
    store.jobs.request_job("1", "report")

    assert store.jobs.claim_job("ann", lease_s=30.0, kinds=["turn"]) is None
    assert store.jobs.claim_job("ann", lease_s=30.0, kinds=["turn", "report"]) is not None


def test_a_lease_that_ran_out_passes_on_and_its_holder_is_fenced_off(store: Store, clock: Clock) -> None:
    store.jobs.request_job("1", "turn")
    slow = _claim(store, "slow")
    clock.now_s += 29
    store.jobs.renew_lease(slow)
    clock.now_s += 29
    assert store.jobs.holds_lease(slow)
    assert store.jobs.claim_job("quick", lease_s=30.0) is None

    clock.now_s += 2
    quick = _claim(store, "quick")

    assert not store.jobs.holds_lease(slow)
    assert store.jobs.holds_lease(quick)
    for late in (store.jobs.renew_lease, store.jobs.finish_job):
        with pytest.raises(LeaseLost):
            late(slow)
    with pytest.raises(LeaseLost):
        store.jobs.fail_job(slow, "late")
    store.jobs.finish_job(quick)


def test_the_same_worker_does_not_pass_its_own_fence(store: Store, clock: Clock) -> None:
    store.jobs.request_job("1", "turn")
    first = _claim(store)
    clock.now_s += 31
    second = _claim(store)

    assert not store.jobs.holds_lease(first)
    with pytest.raises(LeaseLost):
        store.jobs.finish_job(first)
    assert store.jobs.holds_lease(second)


def test_a_fenced_transaction_writes_nothing_once_the_lease_is_lost(store: Store, clock: Clock) -> None:
    store.jobs.request_job("1", "turn")
    slow = _claim(store, "slow")
    with store.transaction(slow):
        store.records.create_record("1", "verdict", {"by": "slow, in time"})
    clock.now_s += 31
    _claim(store, "quick")

    with pytest.raises(LeaseLost), store.transaction(slow):
        store.records.create_record("1", "verdict", {"by": "slow, too late"})
    assert [record.body["by"] for record in store.records.list_records("1", "verdict")] == ["slow, in time"]


def _wait(store: Store, clock: Clock) -> tuple[JobClaim, float]:
    """Claim as soon as something is due; gives how long that took."""
    began_s = clock.now_s
    while (claim := store.jobs.claim_job("ann", lease_s=30.0)) is None:
        clock.now_s += 1
        assert clock.now_s < began_s + 10_000
    return claim, clock.now_s - began_s


def test_failing_work_waits_longer_and_longer_and_is_parked_with_its_reason(store: Store, clock: Clock) -> None:
    store.jobs.request_job("1", "turn")
    waits_s = []
    for _ in range(5):
        claim, wait_s = _wait(store, clock)
        waits_s.append(wait_s)
        store.jobs.fail_job(claim, "ValueError: poisoned\x00 row")

    (row,) = store.jobs.list_jobs()
    assert waits_s == [0, 2, 4, 8, 16]
    assert (row.state, row.tries) == ("parked", 5)
    assert "poisoned" in row.reason


def test_parked_work_blocks_nothing_else(store: Store, clock: Clock) -> None:
    store.jobs.request_job("1", "turn")
    for _ in range(5):
        store.jobs.fail_job(_wait(store, clock)[0], "poisoned")
    store.jobs.request_job("1", "turn")
    store.jobs.request_job("2", "turn")

    assert _claim(store).project == "2"
    assert store.jobs.claim_job("ann", lease_s=30.0) is None


def test_parked_work_recovers_by_hand_or_after_a_long_while(store: Store, clock: Clock) -> None:
    store.jobs.request_job("1", "turn")
    for _ in range(5):
        store.jobs.fail_job(_wait(store, clock)[0], "Label Studio is down")
    claim, wait_s = _wait(store, clock)
    assert wait_s >= 900
    store.jobs.fail_job(claim, "still down")

    assert store.jobs.unpark_job("1", "turn")
    assert not store.jobs.unpark_job("2", "turn")
    store.jobs.finish_job(_claim(store))
    assert [(row.state, row.tries, row.reason) for row in store.jobs.list_jobs()] == [("idle", 0, "")]


def test_work_that_kills_its_worker_is_parked_too(store: Store, clock: Clock) -> None:
    store.jobs.request_job("1", "turn")
    for _ in range(5):
        _claim(store)
        clock.now_s += 31  # killed: no done, no fail
    assert store.jobs.claim_job("ann", lease_s=30.0) is None

    (row,) = store.jobs.list_jobs()
    assert row.state == "parked"
    assert "workers died" in row.reason


def test_a_clock_that_goes_back_holds_nothing_up(store: Store, clock: Clock) -> None:
    store.jobs.request_job("1", "turn")
    store.jobs.request_job("2", "turn")
    _claim(store)
    store.jobs.fail_job(_claim(store), "later")
    clock.now_s -= 86_400

    assert {_claim(store).project, _claim(store).project} == {"1", "2"}
