"""What proofs are made of: processes that can be killed, and senders that remember what was acknowledged."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from feedback.store import Store
from ml_backend.labelstudio.local_server import free_port

ROOT = Path(__file__).resolve().parents[2]
CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t">'
    '<Choice value="fruit"/><Choice value="tool"/></Choices></View>'
)
_WORDS = {
    "fruit": "apple pear plum cherry grape sweet ripe juicy",
    "tool": "hammer saw drill wrench steel sharp handle",
}
_KEPT = ("PATH", "LANG", "TMPDIR", "LD_LIBRARY_PATH")


def size(*, ci: int, full: int) -> int:
    """How much of a proof runs: HITL_PROOF=full asks for all of it."""
    return full if os.environ.get("HITL_PROOF") == "full" else ci


class Process:
    """One of our processes in a session of its own, so that it can be killed with all its children."""

    def __init__(self, *words: str, env: Mapping[str, str], log: Path, meek: bool = False) -> None:
        self.words, self.log, self._meek = words, log, meek
        self.env = {name: os.environ[name] for name in _KEPT if name in os.environ} | dict(env)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Process:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*meekly(self._meek), sys.executable, "-m", *self.words],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self, number: signal.Signals = signal.SIGKILL, *, within_s: float = 30.0) -> None:
        """Kill the whole session and wait for its end."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
        self._process.wait(within_s)
        self._process = None

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else ""


class Web(Process):
    """`hitl web` on a port of its own."""

    def __init__(self, *, env: Mapping[str, str], log: Path, port: int | None = None, meek: bool = False) -> None:
        self.port = port or free_port()
        super().__init__("feedback", "web", env={**env, "HITL_PORT": str(self.port)}, log=log, meek=meek)

    def start(self) -> None:
        super().start()
        until(lambda: self.ask("GET", "/health")[0] == 200, "the web half did not start", self, within_s=60.0)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> tuple[int, Any]:
        """Status and JSON of one request; (0, None) where there was no whole answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            raw = None if body is None else json.dumps(body)
            connection.request(method, path, raw, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()

    def predict(self, project: str, *texts: str) -> tuple[int, Any]:
        tasks = [{"id": number, "data": {"text": text}} for number, text in enumerate(texts, 1)]
        return self.ask("POST", "/predict", {"tasks": tasks, "project": f"{project}.1", "label_config": CONFIG})


def meekly(wanted: bool = True) -> list[str]:
    """What makes root obey the rights of files, as everybody else does; nothing for everybody else."""
    without = "-dac_override,-dac_read_search"
    return ["setpriv", f"--bounding-set={without}", f"--inh-caps={without}"] if wanted and os.geteuid() == 0 else []


def status(env: Mapping[str, str], *, meek: bool = False) -> dict[str, Any]:
    """What `hitl status --json` says; it fails where it finds no store, and says all the same."""
    command = [*meekly(meek), sys.executable, "-m", "feedback", "status", "--json"]
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    done = subprocess.run(command, cwd=ROOT, env=kept | dict(env), capture_output=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def trouble(env: Mapping[str, str], *, meek: bool = False) -> str:
    """Whatever `hitl status` finds wrong, in one text."""
    found = status(env, meek=meek)
    notes = [note for project in found["projects"] for note in [*project["notes"], *project["parked"]]]
    return "\n".join([*(row["what"] for row in found["service"]["trouble"]), *notes])


class Annotators:
    """People who answer new tasks as fast as the service takes it; `acknowledged` holds what it said it has."""

    def __init__(self, web: Web, *, threads: int = 2, project: str = "1", seed: int = 0) -> None:
        self._web, self._project, self._seed = web, project, seed
        self._numbers = iter(range(1, 10_000_000))
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(one,)) for one in range(threads)]
        self.acknowledged: set[int] = set()
        self.failed = 0

    def __enter__(self) -> Annotators:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, worker: int) -> None:
        chance = random.Random(f"{self._seed} {worker}")
        while not self._stop.is_set():
            with self._lock:
                number = next(self._numbers)
            status, _ = self._web.ask("POST", "/webhook", answered(number, project=self._project, chance=chance))
            if status == 200:
                with self._lock:
                    self.acknowledged.add(number)
            else:
                self.failed += 1
                time.sleep(0.02)


def answered(number: int, *, project: str = "1", chance: random.Random, person: int = 1) -> dict[str, Any]:
    """The webhook of one submit: task and annotation both have this number."""
    label = chance.choice(sorted(_WORDS))
    words = chance.choices(_WORDS[label].split(), k=4)
    now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{number % 1_000_000:06d}Z"
    result = [{"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": [label]}}]
    task = {"id": number, "data": {"text": " ".join(words)}, "is_labeled": True, "overlap": 1, "project": int(project)}
    annotation = {
        "id": number,
        "task": number,
        "project": int(project),
        "completed_by": person,
        "result": result,
        "was_cancelled": False,
        "ground_truth": False,
        "lead_time": 2.5,
        "updated_by": person,
        "created_at": now,
        "updated_at": now,
    }
    return {
        "action": "ANNOTATION_CREATED",
        "annotation": annotation,
        "task": {**task, "created_at": now, "updated_at": now},
        "project": {"id": int(project), "title": "proof", "label_config": CONFIG},
    }


def until(true: Callable[[], object], what: str, process: Process | None = None, *, within_s: float = 30.0) -> None:
    """Wait until something is so; AssertionError with the end of a process's log where it is not in time."""
    deadline = time.monotonic() + within_s
    while not true():
        ended = process is not None and not process.running
        in_time = time.monotonic() < deadline and not ended
        assert in_time, f"{what}\n{process.tail() if process else ''}"
        time.sleep(0.02)


def whole(store: Store) -> None:
    """The log verifies, and the projections are what a rebuild would make of it."""
    found = store.verify()
    assert (found["chain"], found["projection"]) == ("ok", "ok"), found
    assert store.rebuild(check=True).ok
