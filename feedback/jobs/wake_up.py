"""How a waiting worker learns of new work: it polls job rows on SQLite, and is notified by PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from feedback.errors import FeedbackError
from feedback.store import Store


class Waiter(Protocol):
    """Ends a worker's wait early. The job rows are the truth: an early or a missing end costs time, never work."""

    def wait(self, timeout_s: float) -> bool:
        """Wait up to `timeout_s` seconds; return True as soon as a job may be due. Never raises."""
        ...


class PollingWaiter:
    """Looks at the job rows every `every_s` seconds; one look at SQLite takes about 0.1 ms."""

    def __init__(
        self, is_due: Callable[[], bool], *, every_s: float = 0.25, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._is_due, self._every_s, self._sleep = is_due, every_s, sleep

    def wait(self, timeout_s: float) -> bool:
        """Look every `every_s`; return True as soon as a job is due."""
        left_s = timeout_s
        while left_s > 0:
            self._sleep(min(self._every_s, left_s))
            left_s -= self._every_s
            try:
                if self._is_due():
                    return True
            except FeedbackError:  # the database may be away; the worker's own look reports it
                return False
        return False


def make_waiter(store: Store) -> Waiter:
    """Return the waiter for the store's database; nothing is connected yet."""

    def is_due() -> bool:
        now_s = time.time()
        return any(row.state in ("wanted", "parked") and row.due_s <= now_s for row in store.jobs.list_jobs())

    return store.jobs.make_listener() or PollingWaiter(is_due)
