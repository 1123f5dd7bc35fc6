"""A service that serves a model while something breaks: how it is taught, asked, and found whole again."""

from __future__ import annotations

import itertools
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from feedback.settings import read_settings
from feedback.store import ProjectRow, Store, open_store
from tests.support.proof import Process, Web, answered, trouble, until

_SOON_S = 2.0  # Label Studio waits one second for /health; this machine may be busy with other tests
_TAUGHT = 30  # answers that make the first model


@dataclass
class Service:
    """Web and worker with a model that serves project 1."""

    env: Mapping[str, str]
    web: Web
    worker: Process | None
    version: str
    meek: bool = False
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1001))
    acknowledged: int = 0
    counting: threading.Lock = field(default_factory=threading.Lock)

    def submit(self, how_many: int = 1) -> int:
        """Send answers; gives how many were acknowledged."""
        good = 0
        for _ in range(how_many):
            number = next(self.numbers)
            body = answered(number, chance=random.Random(number))
            good += self.web.ask("POST", "/webhook", body)[0] == 200
        with self.counting:
            self.acknowledged += good
        return good

    def check_alive(self, *, for_s: float = 2.0) -> None:
        """Ask again and again, and want every answer, soon, from the model that served before, or a newer one."""
        deadline = time.monotonic() + for_s
        while time.monotonic() < deadline:
            for ask in (lambda: self.web.ask("GET", "/health"), lambda: self.web.predict("1", "ripe apple")):
                began = time.monotonic()
                code, body = ask()
                assert code == 200, (code, body, self.web.tail())
                assert time.monotonic() - began < _SOON_S
            serving = body["results"][0]["model_version"]
            assert serving == self.version or (self.worker is not None and serving != "hitl-0")

    def check_status_shows(self, word: str) -> None:
        found = trouble(self.env, meek=self.meek)
        assert word in found, found

    def recovers(self, *, within_s: float = 30.0) -> None:
        """Without a restart: answers are taken again, are there, and the store is whole."""
        until(lambda: self.submit() == 1, "no answer is taken", self.web, within_s=within_s)
        assert self.submit(3) == 3
        self.check_alive(for_s=0.5)
        found = trouble(self.env, meek=self.meek)
        assert "cannot be" not in found, found

    def model(self) -> str:
        """The version that serves now."""
        answer = self.web.predict("1", "ripe apple")[1]
        return str(answer["results"][0]["model_version"]) if answer else "hitl-0"


@contextmanager
def serving(folder: Path, *, url: str = "", with_worker: bool = True, meek: bool = False) -> Iterator[Service]:
    """Start a service, teach it where its store holds no model yet, wait until its model serves."""
    env = {"HITL_DATA_DIR": str(folder), "HITL_TICK_S": "0.2", "HITL_WEB_WORKERS": "1"}
    env |= {"HITL_DATABASE_URL": url} if url else {}
    store = store_of(env)
    taught = store.registry.champion("1") is not None
    policy = {"train": {"min_rows": 4, "min_new": 1, "growth": 0.0}, "audit": {"start": 0, "share": 0.4}}
    if not taught:
        store.projects.save_project(ProjectRow("1", title="proof", label_config="", options={"policy": policy}))
    store.close()
    log = Path(tempfile.mkdtemp(prefix="hitl-log-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, log, ignore_errors=True)
        web = stack.enter_context(Web(env=env, log=log / "web.log", meek=meek))
        env |= {"HITL_PORT": str(web.port)}
        worker = Process("feedback", "worker", env=env, log=log / "worker.log", meek=meek)
        one = Service(env, web, worker, "", meek)
        if with_worker or not taught:
            stack.enter_context(worker)
        if taught:
            one.numbers, one.acknowledged = itertools.count(1001 + _TAUGHT), _TAUGHT
        else:
            one.submit(_TAUGHT)
            until(lambda: one.model() != "hitl-0", "no model serves", worker, within_s=90.0)
            until(lambda: _idle(env), "the worker does not come to rest", worker, within_s=60.0)
        if not with_worker:
            worker.kill()
            one.worker = None
        one.version = one.model()
        yield one


def store_of(env: Mapping[str, str]) -> Store:
    """The store that a service of these settings has."""
    return open_store(read_settings(env).store_url)


def _idle(env: Mapping[str, str]) -> bool:
    store = store_of(env)
    try:
        return all(row.state == "idle" for row in store.jobs.list_jobs())
    finally:
        store.close()
