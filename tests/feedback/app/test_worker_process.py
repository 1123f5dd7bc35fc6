"""Whatever happens to the store, what webhooks brought is looked for again."""

from __future__ import annotations

import logging
import threading

import pytest

from feedback.app.worker_process import reading_inbox
from feedback.errors import StoreError


@pytest.mark.parametrize("failure", [StoreError("away"), ZeroDivisionError("of all things")])
def test_a_failure_is_logged_and_the_inbox_is_read_again(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    again = threading.Event()
    failures = [failure]

    def ingest() -> None:
        if failures:
            raise failures.pop()
        again.set()

    with caplog.at_level(logging.WARNING), reading_inbox(ingest, every_s=0.001, retry_s=0.001):
        assert again.wait(10)

    assert "cannot be read now" in caplog.text


def test_it_ends_with_the_block() -> None:
    looks: list[int] = []
    first = threading.Event()

    def ingest() -> None:
        looks.append(1)
        first.set()

    with reading_inbox(ingest, every_s=0.001):
        assert first.wait(10)
    then = len(looks)

    assert not any(thread.name == "inbox" for thread in threading.enumerate())
    assert len(looks) == then
