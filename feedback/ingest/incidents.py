"""Incidents: what web processes refused or failed at, recorded where `hitl status` and every /metrics can read it."""

from __future__ import annotations

import logging
import socket
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping

from feedback.errors import FeedbackError
from feedback.store import Store

_LOG = logging.getLogger(__name__)
_KIND = "incident"
_SERVICE = "-"  # incidents belong to the service, to no project
_DAY_S = 86_400.0
_MOST_RECORDS = 10_000
_LATE_IDS = 100  # on PostgreSQL a record with a smaller id may be committed later

# the counts that are incidents, as sentences; the other counts of a web process are its daily work
INCIDENT_TEXTS: Mapping[str, str] = {
    "limit_bytes": "requests larger than HITL_MAX_BODY_MIB were refused",
    "limit_depth": "requests with JSON nested too deep were refused",
    "limit_tasks": "requests with more tasks than HITL_MAX_TASKS were refused",
    "limit_values": "requests with more JSON values than a process can hold were refused",
    "cross_site": "requests from pages of other sites, or to names that are not of this service, were refused",
    "login_failed": "requests without the right credentials were refused",
    "webhook_secret_unknown": "webhooks with a secret that this store does not know were refused",
    "login_blocked": "requests from addresses with too many wrong credentials were refused",
    "webhook_not_stored": "events could not be stored; the next poll or sweep reads them from Label Studio",
    "webhook_from_the_future": "records of webhooks were dated in the future and are read from Label Studio instead; "
    "check the clocks of both hosts",
    "load_failed": "a champion could not be loaded; the one before it serves",
    "gauges_failed": "the store could not be read for /metrics",
}


class IncidentRecorder:
    """Counts incidents in memory and records them every few seconds; it keeps them while the store is away."""

    def __init__(self, store: Store, *, clock: Callable[[], float], every_s: float = 2.0) -> None:
        self._store, self._clock, self._every_s = store, clock, every_s
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._first_s = 0.0
        self._last_s = 0.0
        self._stop = threading.Event()

    def start(self) -> None:
        """Start the thread that records; call it after the fork, in each process."""
        threading.Thread(target=self._run, name="incidents", daemon=True).start()

    def stop(self) -> None:
        """Stop the thread and record the remaining counts."""
        self._stop.set()
        self.flush()

    def count(self, event: str, how_many: int = 1) -> None:
        """Count an event; events that are not incidents are ignored."""
        if event not in INCIDENT_TEXTS:
            return
        with self._lock:
            now_s = self._clock()
            if not self._counts:
                self._first_s = now_s
            self._last_s = now_s
            self._counts[event] += how_many

    def flush(self) -> bool:
        """Record the counts; return False and keep them while the store is away."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            first_s, last_s = self._first_s, self._last_s
        if not counts:
            return True
        body = {"counts": dict(counts), "first_s": first_s, "last_s": last_s, "host": socket.gethostname()}
        try:
            self._store.records.create_record(_SERVICE, _KIND, body)
        except FeedbackError as error:
            with self._lock:
                self._counts.update(counts)
                self._first_s = first_s
            _LOG.warning("incidents are not recorded yet: %s", error)
            return False
        return True

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            self.flush()


class IncidentCounts:
    """Incidents of the last day over all processes; each call reads only the records since the last call."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._records: deque[tuple[int, float, Mapping[str, int]]] = deque()  # id, last_s, counts; oldest first
        self._ids: set[int] = set()  # of these records
        self._newest_id = 0
        self._total: Counter[str] = Counter()  # over these records
        self.last_s: dict[str, float] = {}  # when each incident happened last, as far as was read

    def read(self, *, now_s: float) -> dict[str, int]:
        """Return how often each incident happened within a day before `now_s` (epoch seconds)."""
        with self._lock:
            above, since_s = self._newest_id - _LATE_IDS, now_s - _DAY_S
            for record in reversed(self._store.records.list_records(_SERVICE, _KIND, limit=_MOST_RECORDS, above=above)):
                if record.id not in self._ids and record.body["last_s"] >= since_s:
                    self._ids.add(record.id)
                    self._newest_id = max(self._newest_id, record.id)
                    self._records.append((record.id, record.body["last_s"], record.body["counts"]))
                    self._total.update(record.body["counts"])
                    for name in record.body["counts"]:
                        self.last_s[name] = max(record.body["last_s"], self.last_s.get(name, 0.0))
            while self._records and (len(self._records) > _MOST_RECORDS or self._records[0][1] < since_s):
                number, _last_s, counts = self._records.popleft()
                self._ids.discard(number)
                self._total.subtract(counts)
            self._total = +self._total  # without what fell to zero
            return dict(self._total)


def describe_incidents(counts: Mapping[str, int]) -> list[str]:
    """Return incident counts as sentences.

    >>> describe_incidents({"limit_tasks": 3})
    ['3 requests with more tasks than HITL_MAX_TASKS were refused']
    """
    return [f"{number} {INCIDENT_TEXTS[name]}" for name, number in sorted(counts.items())]
