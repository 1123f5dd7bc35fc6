"""Proof 4: whatever breaks, /health and /predict answer, `hitl status` says it, and all recovers by itself."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.breakable import Service, serving, store_of
from tests.support.proof import Process, trouble, until, whole
from tests.support.small_disk import small_disk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a service whose model served, and which has ended."""
    made = tmp_path_factory.mktemp("taught") / "data"
    made.mkdir()
    with serving(made, with_worker=False):
        pass
    return made


@pytest.fixture
def folder(taught: Path) -> Iterator[Path]:
    """A data directory with a model, which may become an empty disk of its own."""
    made = Path(tempfile.mkdtemp(prefix="hitl-proof-"))
    shutil.copytree(taught, made / "data")
    yield made / "data"
    shutil.rmtree(made, ignore_errors=True)


def test_a_locked_inbox_holds_nobody_up(folder: Path) -> None:
    with serving(folder, with_worker=False) as one:
        with _held(folder / "hitl-inbox.sqlite3"):
            acknowledged = _submit_at_once(one, checked_for_s=4.0)
            one.check_status_shows("cannot be written")
            assert acknowledged == 0, "an answer was acknowledged that nobody could store"

        one.recovers()
        until(lambda: "could not be stored" in trouble(one.env), "nobody says what was refused", one.web)
        _nothing_is_lost(one)


def test_a_locked_log_keeps_no_answer_from_being_received(folder: Path) -> None:
    with serving(folder, with_worker=False) as one:
        with _held(folder / "hitl.sqlite3"):
            acknowledged = _submit_at_once(one, checked_for_s=2.0)
            one.check_status_shows("cannot be written")
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
        fill, free, full_for = stack.enter_context(small_disk(folder))
        one = stack.enter_context(serving(folder, with_worker=False))
        fill(one.web)
        until(lambda: one.submit() == 0, "the disk never fills", one.web)

        one.check_alive()
        assert one.submit(5) == 0
        with full_for():
            one.check_status_shows("cannot be written")

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
        one.check_status_shows("the store")

        _open(folder)
        one.recovers()
        _nothing_is_lost(one)


@pytest.mark.postgres
def test_postgresql_is_restarted_under_web_and_worker(folder: Path) -> None:
    with postgres.running() as server, serving(folder, url=server.database()) as one:
        server.stop()
        try:
            one.check_alive()
            assert one.submit(3) == 0
            one.check_status_shows("the store")
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
    store = store_of(one.env)
    try:
        whole(store)  # takes in what waits
        assert len(store.votes.list_votes("1")) >= one.acknowledged
    finally:
        store.close()


def _turns(one: Service) -> int:
    store = store_of(one.env)
    try:
        return max((record.id for record in store.records.list_records("1", "turn", limit=1)), default=0)
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
