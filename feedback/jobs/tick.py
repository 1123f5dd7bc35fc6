"""The worker: takes work rows one after another, holds a lease on each, and looks again at every tick."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Mapping
from types import FrameType

from feedback.errors import LeaseLost
from feedback.jobs.lease import Held, lease
from feedback.store import Store

_LOG = logging.getLogger(__name__)
LEASE_S = 30.0  # after a kill, the project is free again this much later

Job = Callable[[str, Held], object]  # a project, and the lease under which it runs


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
            try:
                before_look()
                while not self._stop.is_set() and self.step():
                    pass
            except Exception:  # noqa: BLE001 - the database may be away; the next tick tries again
                _LOG.exception("the worker cannot look for work")
            self._stop.wait(self._tick_s)

    def step(self) -> bool:
        """Do one piece of work; False when there was none."""
        work = self._store.claim(self._owner, lease_s=LEASE_S, kinds=tuple(self._jobs))
        if work is None:
            return False
        try:
            with lease(self._store, work) as held:
                self._jobs[work.kind](work.project, held)
        except LeaseLost as error:
            _LOG.info("%s of project %s: %s", work.kind, work.project, error)
        except Exception:  # noqa: BLE001 - a job may fail in any way; its reason stands in the work row
            _LOG.exception("%s of project %s failed", work.kind, work.project)
        return True

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is Python's
        self._stop.set()
