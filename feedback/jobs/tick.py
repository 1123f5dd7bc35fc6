"""The worker: takes work rows one after another, holds a lease on each, and looks again at every tick."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType

from feedback.errors import LeaseLost
from feedback.jobs.lease import lease
from feedback.store import Store

_LOG = logging.getLogger(__name__)
_LEASE_S = 30.0  # after a kill, the project is free again this much later
_BEAT_S = 5.0

Job = Callable[[str, Callable[[], bool]], object]  # project, and whether we still hold it


class Worker:
    """Runs jobs until it is asked to stop; a job that fails is tried again later, and parked after some tries."""

    def __init__(self, store: Store, jobs: Mapping[str, Job], *, owner: str, tick_s: float) -> None:
        self._store = store
        self._jobs = dict(jobs)
        self._owner = owner
        self._tick_s = tick_s
        self._stop = threading.Event()

    def run(self, *, before_look: Callable[[], None] = lambda: None) -> None:
        """Work until SIGTERM or SIGINT; `before_look` runs at each tick and may want more work."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        while not self._stop.is_set():
            before_look()
            while not self._stop.is_set() and self.step():
                pass
            self._stop.wait(self._tick_s)

    def step(self) -> bool:
        """Do one piece of work; False when there was none."""
        work = self._store.claim(self._owner, lease_s=_LEASE_S, kinds=tuple(self._jobs))
        if work is None:
            return False
        try:
            with lease(self._store, work, beat_s=_BEAT_S) as held:
                self._jobs[work.kind](work.project, lambda: held.holds() and not self._stop.is_set())
            self._store.done(work)
        except LeaseLost as error:
            _LOG.info("%s of project %s: %s", work.kind, work.project, error)
        except Exception as error:  # noqa: BLE001 - a job may fail in any way; the worker must not
            _LOG.exception("%s of project %s failed", work.kind, work.project)
            self._store.fail(work, f"{type(error).__name__}: {error}"[:500])
        return True

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is Python's
        self._stop.set()
