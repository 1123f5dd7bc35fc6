"""Whatever happens to the store, what webhooks brought is looked for again."""

from __future__ import annotations

import logging
import threading

import pytest

from feedback.errors import StoreError
from feedback.jobs.inbox_thread import taking_in


@pytest.mark.parametrize("failure", [StoreError("away"), ZeroDivisionError("of all things")])
def test_a_failure_is_told_and_the_next_look_comes(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    again = threading.Event()
    failures = [failure]

    def take_in() -> None:
        if failures:
            raise failures.pop()
        again.set()

    with caplog.at_level(logging.WARNING), taking_in(take_in, every_s=0.001, away_s=0.001):
        assert again.wait(10)

    assert "cannot be taken in now" in caplog.text


def test_it_ends_with_the_block() -> None:
    looks: list[int] = []
    first = threading.Event()

    def take_in() -> None:
        looks.append(1)
        first.set()

    with taking_in(take_in, every_s=0.001):
        assert first.wait(10)
    then = len(looks)

    assert not any(thread.name == "taker" for thread in threading.enumerate())
    assert len(looks) == then
