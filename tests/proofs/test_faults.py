"""Proof 4: whatever breaks, /health and /predict answer, `hitl status` says it, and all recovers by itself."""

from __future__ import annotations

import itertools
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from feedback.settings import read_settings
from feedback.store import ProjectRow, Store, open_store
from tests.support import postgres
from tests.support.proof import Process, Web, answered, trouble, until, whole

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
_SOON_S = 2.0  # Label Studio waits one second for /health; this machine may be busy with other tests


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

    def says(self, word: str) -> None:
        found = trouble(self.env, meek=self.meek)
        assert word in found, found

    def recovers(self, *, within_s: float = 30.0) -> None:
        """Without a restart: answers are taken again, are there, and the store is whole."""
        until(lambda: self.submit() == 1, "no answer is taken", self.web, within_s=within_s)
        assert self.submit(3) == 3
        self.check_alive(for_s=0.5)
        found = trouble(self.env, meek=self.meek)
        assert "cannot be" not in found, found


@contextmanager
def serving(folder: Path, *, url: str = "", with_worker: bool = True, meek: bool = False) -> Iterator[Service]:
    """Start a service, teach it, wait until its model serves."""
    env = {"HITL_DATA_DIR": str(folder), "HITL_TICK_S": "0.2", "HITL_WEB_WORKERS": "1"}
    env |= {"HITL_DATABASE_URL": url} if url else {}
    store = open_store(read_settings(env).store_url)
    policy = {"train": {"min_rows": 4, "min_new": 1, "growth": 0.0}, "audit": {"start": 0, "share": 0.4}}
    store.save_project(ProjectRow("1", title="proof", label_config="", options={"policy": policy}))
    store.close()
    log = Path(tempfile.mkdtemp(prefix="hitl-log-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, log, ignore_errors=True)
        web = stack.enter_context(Web(env=env, log=log / "web.log", meek=meek))
        env |= {"HITL_PORT": str(web.port)}
        worker = stack.enter_context(Process("feedback", "worker", env=env, log=log / "worker.log", meek=meek))
        one = Service(env, web, worker, "", meek)
        one.submit(30)

        def model() -> str:
            answer = web.predict("1", "ripe apple")[1]
            return str(answer["results"][0]["model_version"]) if answer else "hitl-0"

        until(lambda: model() != "hitl-0", "no model serves", worker, within_s=90.0)
        until(lambda: _idle(env, url), "the worker does not come to rest", worker, within_s=60.0)
        if not with_worker:
            worker.kill()
            one.worker = None
        one.version = model()
        yield one


@pytest.fixture
def folder() -> Iterator[Path]:
    """A data directory, which may become a disk of its own."""
    made = Path(tempfile.mkdtemp(prefix="hitl-proof-"))
    (made / "data").mkdir()
    yield made / "data"
    shutil.rmtree(made, ignore_errors=True)


def test_a_locked_inbox_holds_nobody_up(folder: Path) -> None:
    with serving(folder, with_worker=False) as one:
        with _held(folder / "hitl-inbox.sqlite3"):
            acknowledged = _submit_at_once(one, checked_for_s=4.0)
            one.says("cannot be written")
            assert acknowledged == 0, "an answer was acknowledged that nobody could store"

        one.recovers()
        until(lambda: "could not be stored" in trouble(one.env), "nobody says what was refused", one.web)
        _nothing_is_lost(one)


def test_a_locked_log_keeps_no_answer_from_being_received(folder: Path) -> None:
    with serving(folder, with_worker=False) as one:
        with _held(folder / "hitl.sqlite3"):
            acknowledged = _submit_at_once(one, checked_for_s=2.0)
            one.says("cannot be written")
            assert acknowledged == 32

        one.recovers()
        _nothing_is_lost(one)


@contextmanager
def _held(database: Path) -> Iterator[None]:
    """Somebody else writes, and does not come to an end."""
    with closing(sqlite3.connect(database, isolation_level=None)) as thief:
        thief.execute("BEGIN IMMEDIATE")
        yield
        thief.execute("ROLLBACK")


def _submit_at_once(one: Service, *, checked_for_s: float) -> int:
    """Eight people submit four answers each, while health and predictions are looked at; how many are acknowledged."""
    before = one.acknowledged
    senders = [threading.Thread(target=one.submit, args=(4,)) for _ in range(8)]
    for sender in senders:
        sender.start()
    one.check_alive(for_s=checked_for_s)
    for sender in senders:
        sender.join()
    return one.acknowledged - before


def test_a_full_disk(folder: Path) -> None:
    with ExitStack() as stack:
        fill, free, full_for = stack.enter_context(_small_disk(folder))
        one = stack.enter_context(serving(folder, with_worker=False))
        fill(one.web)
        until(lambda: one.submit() == 0, "the disk never fills", one.web)

        one.check_alive()
        assert one.submit(5) == 0
        with full_for():
            one.says("cannot be written")

        free()
        one.recovers()
        _nothing_is_lost(one)


def test_a_read_only_data_directory_even_at_the_start(folder: Path) -> None:
    with serving(folder, with_worker=False, meek=True) as one:
        one.web.kill()
        _shut(folder)
        one.web.start()

        assert one.web.ask("GET", "/health")[0] == 200
        assert one.web.predict("1", "ripe apple")[0] == 200
        assert one.submit(3) == 0
        one.says("the store")

        _open(folder)
        one.recovers()
        _nothing_is_lost(one)


@pytest.mark.postgres
def test_postgresql_is_restarted_under_web_and_worker(folder: Path) -> None:
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.running() as server, serving(folder, url=server.database()) as one:
        server.stop()
        try:
            one.check_alive()
            assert one.submit(3) == 0
            one.says("the store")
        finally:
            server.start()

        one.recovers()
        turns = _turns(one)
        one.submit()
        until(lambda: _turns(one) > turns, "the worker does not go on", one.worker, within_s=60.0)
        _nothing_is_lost(one)


def test_a_clock_that_goes_back_a_day(folder: Path, tmp_path: Path) -> None:
    skew = tmp_path / "skew"
    skew.write_text("0")
    with serving(folder, with_worker=False) as one:
        log = tmp_path / "skewed.log"
        with Process("tests.support.skewed", str(skew), env=one.env, log=log) as worker:
            turns = _turns(one)
            one.submit()
            until(lambda: _turns(one) > turns, "no turn before the clock goes wrong", worker, within_s=60.0)

            for days in (-1, 0, -30, 2, 0):
                skew.write_text(str(86_400 * days))
                turns = _turns(one)
                one.submit()
                until(lambda: _turns(one) > turns, f"no turn at {days} days", worker, within_s=60.0)  # noqa: B023
        one.version = str(one.web.predict("1", "ripe apple")[1]["model_version"])
        one.recovers()
        _nothing_is_lost(one)


def _nothing_is_lost(one: Service) -> None:
    store = _store(one.env)
    try:
        whole(store)  # takes in what waits
        assert len(store.votes("1")) >= one.acknowledged
    finally:
        store.close()


def _store(env: Mapping[str, str]) -> Store:
    return open_store(read_settings(env).store_url)


def _turns(one: Service) -> int:
    store = _store(one.env)
    try:
        return max((record.id for record in store.records("1", "turn", limit=1)), default=0)
    finally:
        store.close()


def _idle(env: Mapping[str, str], url: str) -> bool:
    store = _store(env)
    try:
        return all(row.state == "idle" for row in store.works())
    finally:
        store.close()


def _shut(folder: Path) -> None:
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)


def _open(folder: Path) -> None:
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)


@contextmanager
def _small_disk(folder: Path) -> Iterator[tuple[Callable[[Web], None], Callable[[], None], Callable[[], object]]]:
    """A disk that can be filled and freed: a tmpfs where we may mount one, else a limit on the size of files."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        filler = folder / "filler"

        def fill(_web: Web) -> None:
            with filler.open("wb", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass

        try:
            yield fill, filler.unlink, ExitStack
        finally:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)
        return

    pids: list[int] = []

    def limit(web: Web) -> None:
        pids[:] = [int(one) for one in subprocess.check_output(["ps", "-o", "pid=", "-s", str(web.pid)]).split()]
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

    def free() -> None:
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    @contextmanager
    def for_us() -> Iterator[None]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))  # inherited by `hitl status`
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    yield limit, free, for_us
