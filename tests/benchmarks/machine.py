"""The machine under a benchmark: what it is, and whether it has time for one."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

_CALM = 0.15  # share of all cores that others may use
_LOOK_S = 1.0


def describe() -> str:
    """Processor, cores and Python."""
    name = next((value for key, value in _cpuinfo() if key == "model name"), platform.processor() or platform.machine())
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}"


def wait_until_calm(patience_s: float) -> float:
    """Wait, so long at most, until others leave the machine alone; gives the share of it that they use then.

    Ratios bear a busy machine only as far as both servers can use as many cores as they would.
    """
    deadline = time.monotonic() + patience_s
    while True:
        busy = _busy()
        if busy <= _CALM or time.monotonic() > deadline:
            return busy


def _busy() -> float:
    """The share of all cores in use over a second; 0 where the system does not tell."""
    before = _ticks()
    time.sleep(_LOOK_S)
    after = _ticks()
    if not before or not after:
        return 0.0
    spent = [b - a for a, b in zip(before, after, strict=True)]
    idle = spent[3] + spent[4]  # idle, waiting for a disk
    return 1.0 - idle / max(1, sum(spent))


def _ticks() -> list[int]:
    try:
        return [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except OSError:
        return []


def _cpuinfo() -> list[tuple[str, str]]:
    try:
        lines = [line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines()]
    except OSError:
        return []
    return [(key.strip(), value.strip()) for key, _, value in lines]
