"""The worker: runs jobs one after another, each under a lease, and looks for more when woken and at every tick."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, TypeVar

from feedback.errors import FeedbackError, LeaseLost
from feedback.jobs.heartbeat import Pulse
from feedback.store import JobClaim, Store

_LOG = logging.getLogger(__name__)
LEASE_S = 30.0  # after a kill, another worker may run the job this much later

_SLICE_S = 0.25  # of one wait, so that a signal soon ends it
_LONGEST_REASON = 500  # characters

Result = TypeVar("Result")


class Held:
    """A claimed job; ask `holds` before every step that other processes can see."""

    def __init__(self, store: Store, claim: JobClaim, pulse: Pulse | None = None) -> None:
        self._store = store
        self.claim = claim
        self._pulse = pulse or Pulse()
        self._lost = threading.Event()
        self.enter("")

    def enter(self, stage: str) -> None:
        """Say in the heartbeat which stage of the job begins."""
        self._pulse.mark(f"{self.claim.kind} of project {self.claim.project}{stage and f': {stage}'}")

    def holds(self) -> bool:
        """Return whether this worker still owns the job; once False, it stays False."""
        self._pulse.mark()
        if not self._lost.is_set() and not self._store.jobs.holds_lease(self.claim):
            self._lost.set()
        return not self._lost.is_set()

    def renew_until(self, stop: threading.Event, *, every_s: float) -> None:
        """Renew the lease until `stop` is set or the lease is lost."""
        while not stop.wait(every_s):
            try:
                self._store.jobs.renew_lease(self.claim)
            except LeaseLost:
                self._lost.set()
                return
            except FeedbackError:
                continue  # the database is away for a moment; the lease outlives several missed renewals


Job = Callable[[str, Held], object]  # takes a project and the lease under which it runs


class Waiter(Protocol):
    """Ends a worker's wait early. The job rows are the truth: an early or a missing end costs time, never work."""

    def wait(self, timeout_s: float) -> bool:
        """Wait up to `timeout_s` seconds; return True as soon as a job may be due. Never raises."""
        ...


class Worker:
    """Runs jobs until it is asked to stop; a job that fails is retried later, and parked after some tries."""

    def __init__(
        self,
        store: Store,
        jobs: Mapping[str, Job],
        *,
        owner: str,
        tick_s: float,
        waiter: Waiter,
        pulse: Pulse | None = None,
    ) -> None:
        self._store = store
        self._jobs = dict(jobs)
        self._owner = owner
        self._tick_s = tick_s
        self._waiter = waiter
        self._pulse = pulse or Pulse()
        self._stop = threading.Event()

    def run(self, *, before_look: Callable[[], None] = lambda: None) -> None:
        """Work until SIGTERM or SIGINT; `before_look` runs before each look and may request more jobs."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self.stop())
        while not self._stop.is_set():
            self._pulse.mark("look for work")
            try:
                before_look()
                while not self._stop.is_set() and self.step():
                    pass
            except Exception:  # noqa: BLE001 - the database may be away; the next tick retries
                _LOG.exception("the worker cannot look for work")
                self._stop.wait(self._tick_s)  # notifications that go on must not make this a busy loop
            self._wait()

    def step(self) -> bool:
        """Run one job; return False when none was due."""
        claim = self._store.jobs.claim_job(self._owner, lease_s=LEASE_S, kinds=tuple(self._jobs))
        if claim is None:
            return False
        try:
            run_held(self._store, claim, self._jobs[claim.kind], pulse=self._pulse)
        except LeaseLost as error:
            _LOG.info("%s of project %s: %s", claim.kind, claim.project, error)
        except Exception:  # noqa: BLE001 - a job may fail in any way; its reason is in the job row
            _LOG.exception("%s of project %s failed", claim.kind, claim.project)
        return True

    def stop(self) -> None:
        """Stop after the job that is running."""
        self._stop.set()

    def _wait(self) -> None:
        until_s = time.monotonic() + self._tick_s
        while not self._stop.is_set() and (left_s := until_s - time.monotonic()) > 0:
            self._pulse.mark("")
            if self._waiter.wait(min(_SLICE_S, left_s)):
                return


def run_held(
    store: Store, claim: JobClaim, job: Callable[[str, Held], Result], *, pulse: Pulse | None = None
) -> Result:
    """Run a job under its lease, record how it ended, and return its result or raise its error.

    Where the end cannot be recorded, the lease runs out and the job is claimed again.
    """
    try:
        with lease(store, claim, pulse=pulse) as held:
            result = job(claim.project, held)
    except LeaseLost:
        raise
    except Exception as error:
        try:
            store.jobs.fail_job(claim, f"{type(error).__name__}: {error}"[:_LONGEST_REASON])
        except FeedbackError as store_error:
            _LOG.warning("%s of project %s: its failure cannot be recorded: %s", claim.kind, claim.project, store_error)
        raise
    store.jobs.finish_job(claim)
    return result


@contextmanager
def lease(store: Store, claim: JobClaim, *, beat_s: float | None = None, pulse: Pulse | None = None) -> Iterator[Held]:
    """Hold a claimed job while the block runs; the caller then finishes or fails it.

    A thread renews the lease every `beat_s` seconds, by default three times while it lasts. Raises LeaseLost at the end
    of the block if it was lost: put writes that must not happen then inside `store.transaction(claim)`.
    """
    held, stop = Held(store, claim, pulse), threading.Event()
    every_s = claim.lease_s / 3 if beat_s is None else beat_s
    name = f"lease {claim.project} {claim.kind}"
    heart = threading.Thread(target=held.renew_until, args=(stop,), kwargs={"every_s": every_s}, name=name, daemon=True)
    heart.start()
    try:
        yield held
    finally:
        stop.set()
        heart.join()
    if not held.holds():
        raise LeaseLost(f"{claim.kind} of project {claim.project} passed to another worker.")


class PollingWaiter:
    """Looks at the job rows every `every_s` seconds; one look at SQLite takes about 0.1 ms."""

    def __init__(self, is_due: Callable[[], bool], *, every_s: float = 0.25) -> None:
        self._is_due, self._every_s = is_due, every_s

    def wait(self, timeout_s: float) -> bool:
        """Look every `every_s`; return True as soon as a job is due."""
        left_s = timeout_s
        while left_s > 0:
            time.sleep(min(self._every_s, left_s))
            left_s -= self._every_s
            try:
                if self._is_due():
                    return True
            except FeedbackError:  # the database may be away; the worker's own look reports it
                return False
        return False


def make_waiter(store: Store) -> Waiter:
    """Return the waiter for the store's database: PostgreSQL notifies, SQLite is polled. Nothing is connected yet."""

    def is_due() -> bool:
        now_s = time.time()
        return any(row.state in ("wanted", "parked") and row.due_s <= now_s for row in store.jobs.list_jobs())

    return store.jobs.make_listener() or PollingWaiter(is_due)
