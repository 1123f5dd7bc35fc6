from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from feedback.errors import SettingsError
from feedback.jobs.wake_up import Glance, HueyDoorbell, make_doorbell
from ml_backend.labelstudio.local_server import free_port
from tests.support import postgres


class FakeStorage:
    """A queue of huey in memory."""

    def __init__(self) -> None:
        self.read_timeout = 1.0
        self.queue: list[bytes] = []
        self.away = False

    def queue_size(self) -> int:
        self._check()
        return len(self.queue)

    def enqueue(self, data: bytes) -> None:
        self._check()
        self.queue.append(data)

    def dequeue(self) -> bytes | None:
        self._check()
        if not self.queue:
            time.sleep(min(self.read_timeout, 0.02))
            return None
        return self.queue.pop(0)

    def close(self) -> None:
        pass

    def _check(self) -> None:
        if self.away:
            raise ConnectionError("redis://user:secret@host is away")


def over_huey(setting: str, *, database_url: str = "") -> HueyDoorbell:
    made = make_doorbell(setting, database_url=database_url, is_due=lambda: False)
    assert isinstance(made, HueyDoorbell)
    return made


def heard_across(one: HueyDoorbell, other: HueyDoorbell, *, within_s: float = 5.0) -> float:
    """Seconds from a ring on one to the end of a wait on the other."""
    one.ring("1")  # connects, and makes tables where there are none
    while other.wait(0.3):
        pass
    heard: list[float] = []

    def listen() -> None:
        heard.append(time.monotonic() if other.wait(within_s) else 0.0)
        other.close()

    waiting = threading.Thread(target=listen)
    waiting.start()
    time.sleep(0.2)
    rung = time.monotonic()
    one.ring("1")
    waiting.join()
    assert heard[0], "the ring was not heard"
    return heard[0] - rung


def test_a_hundred_rings_are_heard_once():
    storage = FakeStorage()
    bell = HueyDoorbell(lambda: storage)

    for _ in range(100):
        bell.ring("1")

    assert bell.wait(0.5)
    assert not bell.wait(0.05)


def test_a_ring_after_one_was_heard_is_heard_again():
    storage = FakeStorage()
    bell = HueyDoorbell(lambda: storage)

    bell.ring("1")
    assert bell.wait(0.5)
    bell.ring("1")
    assert bell.wait(0.5)


def test_a_bell_that_is_away_neither_raises_nor_holds_anybody_up(caplog: pytest.LogCaptureFixture):
    storage = FakeStorage()
    storage.away = True
    now = [0.0]
    slept: list[float] = []
    bell = HueyDoorbell(lambda: storage, clock=lambda: now[0], sleep=slept.append)

    bell.ring("1")
    assert not bell.wait(2.0)
    assert slept == [2.0]  # as long as with a bell, so that the worker does not spin

    storage.away = False
    now[0] += 6.0
    bell.ring("1")
    assert bell.wait(0.5)
    assert "secret" not in caplog.text


def test_a_glance_sees_what_is_due_and_nobody_need_ring():
    answers = iter([False, False, True])
    bell = Glance(lambda: next(answers), every_s=0.01)

    bell.ring("1")

    assert bell.wait(1.0)


def test_a_database_that_is_away_ends_a_glance():
    def broken() -> bool:
        raise OSError("away")

    assert not Glance(broken, every_s=0.01).wait(1.0)


@pytest.mark.parametrize(("setting", "says"), [("amqp://x", "'amqp'"), ("postgres", "the store is SQLite")])
def test_a_bell_that_cannot_be_is_told_at_the_start(setting: str, says: str):
    with pytest.raises(SettingsError, match=says):
        make_doorbell(setting, database_url="sqlite:///x", is_due=lambda: False)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL) as server:
        try:
            _wait_for(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()


@pytest.mark.redis
def test_a_ring_over_redis_wakes_a_waiting_worker_at_once(redis_url: str):
    one, other = over_huey(redis_url), over_huey(redis_url)

    assert heard_across(one, other) < 0.5
    one.close()
    other.close()


@pytest.mark.redis
def test_a_redis_that_nobody_answers_for_costs_a_ring_less_than_a_second():
    bell = make_doorbell(f"redis://127.0.0.1:{free_port()}/0", database_url="", is_due=lambda: False)
    began = time.monotonic()

    bell.ring("1")

    assert time.monotonic() - began < 1.0


@pytest.mark.postgres
def test_a_ring_over_postgresql_wakes_a_waiting_worker_at_once():
    with postgres.running() as server:
        url = server.database()
        one = over_huey("postgres", database_url=url)
        other = over_huey(url)

        assert heard_across(one, other) < 0.5

        server.stop()
        one.ring("1")  # says so in the log, no more
        assert not other.wait(0.2)
        server.start()


def _wait_for(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on {port} ({os.getpid()})")
