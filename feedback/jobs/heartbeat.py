"""The heartbeat of a worker: a thread stores what the main thread does, so that a hang shows as a death does."""

from __future__ import annotations

import logging
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from feedback.errors import FeedbackError, StoreError
from feedback.store import Heartbeat, Store
from ml_backend.labelstudio.transport import Transport

_LOG = logging.getLogger(__name__)
_BEAT_S = 5.0
_LAST_CALL_S = 5.0  # a request to a server that hangs does not hold up the end
_BUSY = 0.01  # of a processor: less is the waking of a thread that waits


class Pulse:
    """What the main thread of a worker does, and when it last moved on. It marks this; the heartbeat stores it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.step, self.step_s = "", clock()
        self.label_studio = ("", "")  # why it cannot be used, and the remedy

    def mark(self, step: str | None = None) -> None:
        """Note that the main thread moves on; with `step`, what it does from now on, "" for waiting."""
        if step is not None:
            self.step = step
        self.step_s = self.clock()


@contextmanager
def repeating(
    action: Callable[[], object],
    *,
    name: str,
    every_s: float,
    retry_s: float | None = None,
    last_call_s: float | None = _LAST_CALL_S,
) -> Iterator[None]:
    """Call `action` again and again in a thread of this name while the block runs, because a job may run for minutes.

    A failure is logged, and the next call comes after `retry_s`. The end of the block waits `last_call_s` for a call
    that is under way; None: until it is done.
    """
    stop = threading.Event()

    def run() -> None:
        wait_s = every_s
        while not stop.wait(wait_s):
            wait_s = every_s
            try:
                action()
            except Exception as error:  # noqa: BLE001  # without its thread, nobody would do it any more
                _LOG.warning(
                    "%s failed, and is tried again: %s", name, error, exc_info=not isinstance(error, FeedbackError)
                )
                wait_s = retry_s or every_s

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(last_call_s)


@contextmanager
def beating(store: Store, worker: str, pulse: Pulse, *, every_s: float = _BEAT_S) -> Iterator[None]:
    """Store the heartbeat of this worker, whose main thread calls this, while the block runs; then delete it."""
    main = threading.get_ident()
    cpu_s, started_s = _cpu_clock(main), pulse.clock()
    used_s, busy_s, before_s = cpu_s(), started_s, started_s

    def beat() -> None:
        nonlocal used_s, busy_s, before_s
        now_s, now_used_s = pulse.clock(), cpu_s()
        if now_used_s - used_s > _BUSY * (now_s - before_s) or _asks_label_studio(main):
            busy_s = now_s
        used_s, before_s = now_used_s, now_s
        step, step_s, (trouble, remedy) = pulse.step, pulse.step_s, pulse.label_studio
        row = Heartbeat(worker, started_s, now_s, step, step_s, busy_s, trouble, remedy)
        store.liveness.save_heartbeat(row)

    with suppress(StoreError):  # the store may be away until later
        for row in store.liveness.list_heartbeats():
            if is_dead_here(row):
                store.liveness.delete_heartbeat(row.worker)
        beat()
    try:
        with repeating(beat, name="heartbeat", every_s=every_s, last_call_s=None):
            yield
    finally:
        with suppress(StoreError):
            store.liveness.delete_heartbeat(worker)


def _cpu_clock(thread: int) -> Callable[[], float]:
    """Return the clock of the processor time of a thread; of the whole process where the system has no such clock."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.process_time
    number = time.pthread_getcpuclockid(thread)
    return lambda: time.clock_gettime(number)


def _asks_label_studio(thread: int) -> bool:
    """Return whether a thread waits for an answer of Label Studio, which a large request may take minutes for."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001  # the documented way to see another thread
    while frame is not None and frame.f_code is not Transport.send.__code__:
        frame = frame.f_back
    return frame is not None


def is_dead_here(row: Heartbeat) -> bool:
    """Return whether a worker was a process of this host that does not exist any more.

    A process with its number that began after its last heartbeat is another one.
    """
    host, _, number = row.worker.rpartition(":")
    if host != socket.gethostname() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it is another user's
    return _age_s(number) < time.time() - row.beat_s


def _age_s(process: str) -> float:
    """Return how long a process has run, in seconds; infinity where the system does not tell (it is no Linux)."""
    try:
        ticks = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])  # since the boot
    except (OSError, IndexError, ValueError):
        return math.inf
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
