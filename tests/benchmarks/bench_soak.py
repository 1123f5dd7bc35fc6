"""Soak: mixed load at concurrency 16 on the real web process with a real worker: flat memory, no lost handle, no error.

HITL_BENCH_SOAK_S=600 is the whole of it; the default is 120 s.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from feedback.store import ProjectRow, open_store
from tests.support.proof import CONFIG, Process, Web, answered, until, whole

SECONDS = float(os.environ.get("HITL_BENCH_SOAK_S", "120"))
SENDERS = 16
_WARM = 0.3  # of the time: imports, pools, caches and the first model
_GROWTH = {"web": 1.15, "worker": 1.4}  # of the memory after that; the worker holds answers, which grow all the time
_EACH_S = 40  # answers a second at most: what a hundred quick annotators would give


@pytest.mark.timeout(3600)
def test_soak(tmp_path: Path) -> None:
    env = {"HITL_DATA_DIR": str(tmp_path / "data"), "HITL_TICK_S": "1"}
    (tmp_path / "data").mkdir()
    store = open_store(f"sqlite:///{tmp_path / 'data' / 'hitl.sqlite3'}")
    store.projects.save_project(ProjectRow("1", title="soak", label_config=CONFIG))
    log = tmp_path / "worker.log"
    with (
        Web(env=env, log=tmp_path / "web.log") as web,
        Process("feedback", "worker", env={**env, "HITL_PORT": str(web.port)}, log=log) as worker,
    ):
        seen = _drive(web, worker)
        until(
            lambda: all(row.state != "running" for row in store.jobs.list_jobs()),
            "the worker hangs",
            worker,
            within_s=120.0,
        )
    print(json.dumps(seen.summary(), indent=2))  # noqa: T201

    assert seen.errors == Counter()
    assert seen.handles[-1] <= seen.handles[0] + 2 * SENDERS
    for half, growth in _GROWTH.items():
        assert seen.after_warming(half, -1) <= growth * seen.after_warming(half, 0), half
    assert "Traceback" not in web.tail() + worker.tail()
    whole(store)
    assert len(store.votes.list_votes("1")) == seen.answered
    store.close()


class Seen:
    """What a run showed; memory in MiB and open handles of web and worker, sampled along it."""

    def __init__(self) -> None:
        self.errors: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.memory: dict[str, list[float]] = {"web": [], "worker": []}
        self.handles: list[int] = []
        self.slowest_s = 0.0
        self.answered = 0

    def after_warming(self, half: str, part: int) -> float:
        """The mean of the first (0) or last (-1) quarter of the samples after the warming up."""
        samples = self.memory[half]
        warm = samples[int(_WARM * len(samples)) :]
        quarter = max(1, len(warm) // 4)
        chosen = warm[:quarter] if part == 0 else warm[-quarter:]
        return sum(chosen) / len(chosen)

    def summary(self) -> dict[str, object]:
        return {
            "seconds": SECONDS,
            "requests": dict(self.requests),
            "errors": dict(self.errors),
            "slowest_s": round(self.slowest_s, 3),
            "memory_mib": {half: [round(self.after_warming(half, part)) for part in (0, -1)] for half in _GROWTH},
            "handles": [self.handles[0], self.handles[-1]],
        }


def _drive(web: Web, worker: Process) -> Seen:
    seen, lock, numbers = Seen(), threading.Lock(), iter(range(1, 10_000_000))
    started = time.monotonic()

    def send(sender: int) -> None:
        chance = random.Random(sender)
        while time.monotonic() - started < SECONDS:
            began = time.monotonic()
            what = chance.choices(["webhook", "predict", "setup", "health", "metrics"], [10, 10, 4, 4, 1])[0]
            status = _ask(web, what, chance, numbers, lock)
            with lock:
                seen.requests[what] += 1
                seen.slowest_s = max(seen.slowest_s, time.monotonic() - began)
                seen.answered += what == "webhook" and status == 200
                if status != 200:
                    seen.errors[f"{what} {status}"] += 1
            time.sleep(max(0.0, SENDERS / _EACH_S / 3 - (time.monotonic() - began)))

    senders = [threading.Thread(target=send, args=(one,)) for one in range(SENDERS)]
    for sender in senders:
        sender.start()
    while any(sender.is_alive() for sender in senders):
        time.sleep(1.0)
        families = {"web": _family(web.pid), "worker": _family(worker.pid)}
        for half, pids in families.items():
            seen.memory[half].append(sum(map(_memory_mib, pids)))
        if time.monotonic() - started > _WARM * SECONDS and any(sender.is_alive() for sender in senders):
            seen.handles.append(sum(_handles(one) for pids in families.values() for one in pids))
    for sender in senders:
        sender.join()
    return seen


def _ask(web: Web, what: str, chance: random.Random, numbers: Iterator[int], lock: threading.Lock) -> int:
    if what == "webhook":
        with lock:
            number = next(numbers)
        return web.ask("POST", "/webhook", answered(number, chance=chance, person=1 + number % 9))[0]
    if what == "predict":
        return web.predict("1", *(chance.choice(["ripe apple", "steel saw", "sweet pear"]) for _ in range(20)))[0]
    if what == "setup":
        body = {"project": "1.1", "schema": CONFIG, "hostname": "http://localhost:8080", "access_token": ""}
        return web.ask("POST", "/setup", body)[0]
    return web.ask("GET", f"/{what}")[0]


def _family(pid: int) -> list[int]:
    """A process and its children, by /proc."""
    found = [pid]
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(status.parent.name))
    return found


def _memory_mib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _handles(pid: int) -> int:
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return 0
