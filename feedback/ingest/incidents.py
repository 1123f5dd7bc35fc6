"""Incidents: what web processes met and refused, written where `hitl status` and everybody's /metrics see it."""

from __future__ import annotations

import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping

from feedback.errors import FeedbackError
from feedback.store import Store

_LOG = logging.getLogger(__name__)
_KIND = "incident"
_NOWHERE = "-"  # incidents belong to the service, to no project
_DAY_S = 86_400.0
_MOST = 10_000

# what is an incident, in words; other counts of a web process are its daily work
WORDS: Mapping[str, str] = {
    "limit_bytes": "requests larger than HITL_MAX_BODY_MIB were refused",
    "limit_depth": "requests with JSON nested too deep were refused",
    "limit_tasks": "requests with more tasks than HITL_MAX_TASKS were refused",
    "limit_values": "requests with more JSON values than a process can hold were refused",
    "login_failed": "requests without the right credentials were refused",
    "login_blocked": "requests from addresses with too many wrong credentials were refused",
    "webhook_not_stored": "events could not be stored; polls and sweeps bring them",
    "load_failed": "a champion could not be loaded; the one before it serves",
    "gauges_failed": "the store could not be read for /metrics",
}


class Incidents:
    """Counts in memory, written to the store every few seconds; kept in memory while the store is away."""

    def __init__(self, store: Store, *, clock: Callable[[], float], every_s: float = 2.0) -> None:
        self._store, self._clock, self._every_s = store, clock, every_s
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._first_s = 0.0
        self._last_s = 0.0
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin to write; after the fork, in each process."""
        threading.Thread(target=self._run, name="incidents", daemon=True).start()

    def stop(self) -> None:
        """End, and write what is left."""
        self._stop.set()
        self.flush()

    def count(self, event: str, how_many: int = 1) -> None:
        """Note that something happened; what is no incident is passed over."""
        if event not in WORDS:
            return
        with self._lock:
            now_s = self._clock()
            if not self._counts:
                self._first_s = now_s
            self._last_s = now_s
            self._counts[event] += how_many

    def flush(self) -> bool:
        """Write what is counted; False where the store is away, and nothing is forgotten."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            first_s, last_s = self._first_s, self._last_s
        if not counts:
            return True
        body = {"counts": dict(counts), "first_s": first_s, "last_s": last_s, "host": socket.gethostname()}
        try:
            self._store.records.create_record(_NOWHERE, _KIND, body)
        except FeedbackError as error:
            with self._lock:
                self._counts.update(counts)
                self._first_s = first_s
            _LOG.warning("incidents are not written yet: %s", error)
            return False
        return True

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.flush()


def last_day(store: Store, *, now_s: float) -> dict[str, int]:
    """How often what happened within a day."""
    found: Counter[str] = Counter()
    for record in store.records.list_records(_NOWHERE, _KIND, limit=_MOST):
        if not now_s - _DAY_S <= record.body["last_s"]:
            break
        found.update(record.body["counts"])
    return dict(found)


def told(counts: Mapping[str, int], *, only: Collection[str] = ()) -> list[str]:
    """Counts as sentences.

    >>> told({"limit_tasks": 3})
    ['3 requests with more tasks than HITL_MAX_TASKS were refused']
    """
    return [f"{number} {WORDS[name]}" for name, number in sorted(counts.items()) if not only or name in only]
