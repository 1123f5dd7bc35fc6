"""A lease: work that is held by a heartbeat while a block runs, and lost when the heartbeat is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from feedback.errors import FeedbackError, LeaseLost
from feedback.store import JobClaim, Store


class Held:
    """A claim that is being held; ask `holds` before every step that others would see."""

    def __init__(self, store: Store, work: JobClaim) -> None:
        self._store = store
        self.work = work
        self._stop = threading.Event()
        self._lost = threading.Event()

    def holds(self) -> bool:
        """Whether this worker still owns the work; once False, for ever False."""
        if not self._lost.is_set() and not self._store.jobs.holds_lease(self.work):
            self._lost.set()
        return not self._lost.is_set()

    def require(self) -> None:
        """Raise LeaseLost where the work is no longer ours."""
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
                continue  # a database that is away for a moment; the lease outlives several missed beats


@contextmanager
def lease(store: Store, work: JobClaim, *, beat_s: float | None = None) -> Iterator[Held]:
    """Hold claimed work while the block runs; the caller then says `done` or `fail`.

    Beats every third of the lease, or every `beat_s`, from a thread of its own. A block that ends after its lease was
    lost raises LeaseLost; what must not be written then goes inside `store.transaction(work)`.
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
