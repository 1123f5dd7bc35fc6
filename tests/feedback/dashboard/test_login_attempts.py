"""Wrong guesses are counted by all workers together, and still counted while the database is away."""

from __future__ import annotations

import pytest

from feedback.dashboard import SharedAttempts
from feedback.errors import StoreError
from feedback.store import Store
from ml_backend.app.security import MemoryAttempts
from tests.support.pages import Clock


class UnavailableStore:
    """A database that does not answer."""

    def list_login_attempts(self, scope: str) -> dict[str, float]:
        raise StoreError("the database is away")

    def record_login_attempt(self, scope: str, address: str, every_s: float) -> float:
        raise StoreError("the database is away")


def test_shared_attempts_count_like_those_in_memory(store_with_projects: Store, clock: Clock):
    shared = SharedAttempts(store_with_projects.sessions, "service", burst=3, every_s=10, clock=clock)
    single = MemoryAttempts(burst=3, every_s=10, clock=clock)

    for step_s in (0, 1, 0, 5, 0, 40, 0):
        clock.now_s += step_s
        assert shared.wait_s("10.0.0.1") == pytest.approx(min(single.wait_s("10.0.0.1"), 30))
        for attempts in (shared, single):
            attempts.failed("10.0.0.1")
    assert shared.wait_s("10.0.0.2") == 0.0


def test_a_failed_login_counts_in_all_workers(store_with_projects: Store, clock: Clock):
    row, other = (
        SharedAttempts(store_with_projects.sessions, "service", burst=1, every_s=60, clock=clock) for _ in range(2)
    )
    assert other.wait_s("10.0.0.1") == 0.0

    row.failed("10.0.0.1")
    clock.now_s += 1.5

    assert other.wait_s("10.0.0.1") == pytest.approx(58.5)


def test_right_credentials_do_not_query_the_store_each_time(store_with_projects: Store, clock: Clock, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(store_with_projects.sessions, "list_login_attempts", lambda scope: asked.append(scope) or {})
    attempts = SharedAttempts(store_with_projects.sessions, "service", clock=clock)

    for _ in range(100):
        attempts.wait_s("10.0.0.1")

    assert asked == ["service"]


def test_the_limit_holds_while_the_database_is_down(clock: Clock):
    attempts = SharedAttempts(UnavailableStore(), "service", burst=2, every_s=60, clock=clock)

    waits = []
    for _ in range(4):
        waits.append(attempts.wait_s("10.0.0.1"))
        attempts.failed("10.0.0.1")
        clock.now_s += 1.5

    assert waits[0] == waits[1] == 0.0
    assert waits[2] > 50
    assert waits[3] > 100


def test_ipv6_addresses_of_one_network_are_counted_together(store_with_projects: Store, clock: Clock):
    attempts = SharedAttempts(store_with_projects.sessions, "pages", burst=1, every_s=60, clock=clock)

    attempts.failed("2001:db8:1:2::1")

    assert attempts.wait_s("2001:db8:1:2:ffff::9") == 60.0
    assert attempts.wait_s("2001:db8:1:3::1") == 0.0


def test_a_clock_that_was_set_back_locks_nobody_out(store_with_projects: Store, clock: Clock):
    attempts = SharedAttempts(store_with_projects.sessions, "pages", burst=2, every_s=60, clock=clock)
    attempts.failed("10.0.0.1")

    clock.now_s -= 365 * 86_400

    assert attempts.wait_s("10.0.0.1") <= 120.0
