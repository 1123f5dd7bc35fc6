"""The supervisor: restarts child processes, passes signals on, and stops when a child keeps dying."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

from ml_backend.child_processes import start_process

_LOG = logging.getLogger(__name__)
_QUICK_S = 10.0  # a child that ran for less counts as a quick death
_TRIES = 5  # quick deaths in a row before we give up
_GRACE_S = 20.0  # from SIGTERM to SIGKILL
_LOOK_S = 0.2


@dataclass(slots=True)
class _Child:
    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    quick_deaths: int = 0
    not_before_s: float = 0.0


class Supervisor:
    """Runs children until a signal, or until one of them keeps dying; `commands` are their command lines by name."""

    def __init__(self, commands: Mapping[str, Sequence[str]], *, env: Mapping[str, str]) -> None:
        self._children = [_Child(name, command) for name, command in commands.items()]
        self._env = dict(env)
        self._stopping = False

    def run(self) -> int:
        """Start all children and watch them; return 0 after SIGTERM or SIGINT, 1 when a child keeps dying."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            while not self._stopping:
                for child in self._children:
                    if not self._keep(child):
                        return 1
                time.sleep(_LOOK_S)
        finally:
            self._stop()
        return 0

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is Python's
        self._stopping = True

    def _keep(self, child: _Child) -> bool:
        """Start or restart a child when it is time; return False when it died too often."""
        now = time.monotonic()
        if child.process is not None:
            status = child.process.poll()
            if status is None:
                return True
            quick = now - child.started_s < _QUICK_S
            child.quick_deaths = child.quick_deaths + 1 if quick else 1
            _LOG.warning("%s ended with status %s", child.name, status)
            child.process = None
            child.not_before_s = now + 0.25 * 2**child.quick_deaths
        if child.quick_deaths >= _TRIES:
            _LOG.error("%s ended %d times in a row; giving up", child.name, child.quick_deaths)
            return False
        if now >= child.not_before_s:
            child.process = start_process(child.command, env=self._env)
            child.started_s = now
        return True

    def _stop(self) -> None:
        running = [child.process for child in self._children if child.process and child.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + _GRACE_S
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
