"""The worker: runs jobs one after another, each under a lease, and looks for more when woken and at every tick."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import TypeVar

from feedback.errors import FeedbackError, LeaseLost
from feedback.jobs.lease import Held, lease
from feedback.jobs.wake_up import Waiter
from feedback.store import JobClaim, Store

_LOG = logging.getLogger(__name__)
LEASE_S = 30.0  # after a kill, another worker may run the job this much later

_SLICE_S = 0.25  # of one wait, so that a signal soon ends it
_LONGEST_REASON = 500  # characters

Result = TypeVar("Result")
Job = Callable[[str, Held], object]  # takes a project and the lease under which it runs


class Worker:
    """Runs jobs until it is asked to stop; a job that fails is retried later, and parked after some tries."""

    def __init__(self, store: Store, jobs: Mapping[str, Job], *, owner: str, tick_s: float, waiter: Waiter) -> None:
        self._store = store
        self._jobs = dict(jobs)
        self._owner = owner
        self._tick_s = tick_s
        self._waiter = waiter
        self._stop = threading.Event()

    def run(self, *, before_look: Callable[[], None] = lambda: None) -> None:
        """Work until SIGTERM or SIGINT; `before_look` runs before each look and may request more jobs."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        while not self._stop.is_set():
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
        work = self._store.jobs.claim_job(self._owner, lease_s=LEASE_S, kinds=tuple(self._jobs))
        if work is None:
            return False
        try:
            run_held(self._store, work, self._jobs[work.kind])
        except LeaseLost as error:
            _LOG.info("%s of project %s: %s", work.kind, work.project, error)
        except Exception:  # noqa: BLE001 - a job may fail in any way; its reason is in the job row
            _LOG.exception("%s of project %s failed", work.kind, work.project)
        return True

    def stop(self) -> None:
        """Stop after the job that is running."""
        self._stop.set()

    def _wait(self) -> None:
        until_s = time.monotonic() + self._tick_s
        while not self._stop.is_set() and (left_s := until_s - time.monotonic()) > 0:
            if self._waiter.wait(min(_SLICE_S, left_s)):
                return

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is Python's
        self.stop()


def run_held(store: Store, work: JobClaim, job: Callable[[str, Held], Result]) -> Result:
    """Run a job under its lease, record how it ended, and return its result or raise its error.

    Where the end cannot be recorded, the lease runs out and the job is claimed again.
    """
    try:
        with lease(store, work) as held:
            result = job(work.project, held)
    except LeaseLost:
        raise
    except Exception as error:
        try:
            store.jobs.fail_job(work, f"{type(error).__name__}: {error}"[:_LONGEST_REASON])
        except FeedbackError as store_error:
            _LOG.warning("%s of project %s: its failure cannot be recorded: %s", work.kind, work.project, store_error)
        raise
    store.jobs.finish_job(work)
    return result
