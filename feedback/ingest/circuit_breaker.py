"""The circuit breaker of the webhook: while the store refuses, webhooks fail at once and hold no thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from feedback.errors import StoreError

Take = Callable[[Any], Mapping[str, Any]]


class CircuitBreaker:
    """Passes webhooks on; after a StoreError one at a time tries, at most every `every_s` seconds, until one succeeds.

    Without it a locked database would hold every thread, and /health and /predict would wait behind webhooks that Label
    Studio has given up long ago. What is refused is not lost: polls and full syncs find it.
    """

    def __init__(
        self,
        take: Take,
        *,
        count: Callable[[str], object] = lambda _: None,
        every_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._take, self._count, self._every_s, self._clock = take, count, every_s, clock
        self._lock = threading.Lock()
        self._open = False  # True while the store has refused and no webhook has succeeded since
        self._next_s = 0.0
        self._trying = False

    def __call__(self, body: Any) -> Mapping[str, Any]:
        """Return the answer to one webhook, or raise StoreError without waiting."""
        tries = self._may_try()
        try:
            answer = self._take(body)
        except StoreError:
            self._count("webhook_not_stored")
            with self._lock:
                self._open, self._next_s = True, self._clock() + self._every_s
            raise
        finally:
            if tries:
                self._trying = False
        self._open = False
        return answer

    def _may_try(self) -> bool:
        """Return whether this webhook is the one that tries; raise StoreError for the others."""
        with self._lock:
            if not self._open:
                return False
            if self._trying or self._clock() < self._next_s:
                self._count("webhook_not_stored")
                raise StoreError("the database refused a moment ago; this event is not stored.")
            self._trying = True
            return True
