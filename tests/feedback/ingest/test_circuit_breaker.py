from __future__ import annotations

import threading
from typing import Any

import pytest

from feedback.errors import StoreError
from feedback.ingest.circuit_breaker import CircuitBreaker


class Flaky:
    """A webhook whose store is away, or slow, when told."""

    def __init__(self) -> None:
        self.unreachable = False
        self.calls = 0
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, body: Any) -> dict[str, Any]:
        self.calls += 1
        self.gate.wait(5)
        if self.unreachable:
            raise StoreError("locked")
        return {"status": "ok"}


def refused(breaker: CircuitBreaker) -> bool:
    try:
        breaker({})
    except StoreError:
        return True
    return False


def test_while_the_store_is_away_one_tries_each_second_and_the_rest_are_told_at_once():
    now, take, counted = [0.0], Flaky(), list[str]()
    breaker = CircuitBreaker(take, count=counted.append, clock=lambda: now[0])
    take.unreachable = True

    assert all(refused(breaker) for _ in range(100))
    assert take.calls == 1
    now[0] += 1.0
    assert all(refused(breaker) for _ in range(100))
    assert take.calls == 2
    assert counted == ["webhook_not_stored"] * 200


def test_the_first_success_lets_everybody_through():
    now, take = [0.0], Flaky()
    breaker = CircuitBreaker(take, clock=lambda: now[0])
    take.unreachable = True
    assert refused(breaker)

    take.unreachable, now[0] = False, 1.0

    assert not any(refused(breaker) for _ in range(10))


def test_nobody_waits_behind_the_one_that_tries():
    now, take = [0.0], Flaky()
    breaker = CircuitBreaker(take, clock=lambda: now[0])
    take.unreachable = True
    assert refused(breaker)
    now[0], take.unreachable = 1.0, False
    take.gate.clear()
    tries = threading.Thread(target=lambda: breaker({}))
    tries.start()
    while take.calls < 2:
        pass

    with pytest.raises(StoreError, match="a moment ago"):
        breaker({})

    take.gate.set()
    tries.join()
    assert not refused(breaker)


def test_an_event_that_is_wrong_says_nothing_of_the_store():
    def take(body: Any) -> dict[str, Any]:
        raise ValueError("no such event")

    breaker = CircuitBreaker(take)
    for _ in range(3):
        with pytest.raises(ValueError, match="no such event"):
            breaker({})
