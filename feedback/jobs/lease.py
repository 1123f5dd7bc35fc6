"""A lease: a claimed job is held by a heartbeat while a block runs, and lost when the heartbeat stops."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from feedback.errors import FeedbackError, LeaseLost
from feedback.store import JobClaim, Store


class Held:
    """A claimed job; ask `holds` before every step that other processes can see."""

    def __init__(self, store: Store, work: JobClaim) -> None:
        self._store = store
        self.work = work
        self._stop = threading.Event()
        self._lost = threading.Event()

    def holds(self) -> bool:
        """Return whether this worker still owns the job; once False, it stays False."""
        if not self._lost.is_set() and not self._store.jobs.holds_lease(self.work):
            self._lost.set()
        return not self._lost.is_set()

    def require(self) -> None:
        """Raise LeaseLost where another worker has the job."""
        if not self.holds():
            raise LeaseLost(f"{self.work.kind} of project {self.work.project} passed to another worker.")

    def stop(self) -> None:
        """End the heartbeat."""
        self._stop.set()

    def beat(self, beat_s: float) -> None:
        """Renew the lease until it is stopped or lost."""
        while not self._stop.wait(beat_s):
            try:
                self._store.jobs.renew_lease(self.work)
            except LeaseLost:
                self._lost.set()
                return
            except FeedbackError:
                continue  # the database is away for a moment; the lease outlives several missed beats


@contextmanager
def lease(store: Store, work: JobClaim, *, beat_s: float | None = None) -> Iterator[Held]:
    """Hold a claimed job while the block runs; the caller then finishes or fails it.

    Parameters
    ----------
    beat_s
        Seconds between renewals, which a thread makes; by default a third of the lease.

    Raises
    ------
    LeaseLost
        At the end of the block if the lease was lost. Put writes that must not happen then inside
        `store.transaction(work)`.
    """
    held = Held(store, work)
    every_s = work.lease_s / 3 if beat_s is None else beat_s
    heart = threading.Thread(target=held.beat, args=(every_s,), name=f"lease {work.project} {work.kind}", daemon=True)
    heart.start()
    try:
        yield held
    finally:
        held.stop()
        heart.join()
    held.require()
