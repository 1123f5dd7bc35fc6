"""The heartbeat of a worker says what its main thread does, and whether it does anything."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time

import pytest

from feedback.errors import StoreError
from feedback.jobs.heartbeat import Pulse, beating, is_dead_here, repeating
from feedback.jobs.worker import Held, run_held
from feedback.store import Heartbeat, Store
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.transport import Transport
from tests.support.unreached import silent


@pytest.mark.parametrize("failure", [StoreError("away"), ZeroDivisionError("of all things")])
def test_a_failure_is_logged_and_the_action_is_repeated(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    again = threading.Event()
    failures = [failure]

    def act() -> None:
        if failures:
            raise failures.pop()
        again.set()

    with caplog.at_level(logging.WARNING), repeating(act, name="inbox", every_s=0.001, retry_s=0.001):
        assert again.wait(10)

    assert "inbox failed, and is tried again" in caplog.text


def test_it_ends_with_the_block() -> None:
    looks: list[int] = []
    first = threading.Event()

    def act() -> None:
        looks.append(1)
        first.set()

    with repeating(act, name="inbox", every_s=0.001):
        assert first.wait(10)
    then = len(looks)

    assert not any(thread.name == "inbox" for thread in threading.enumerate())
    assert len(looks) == then


def _row(store: Store) -> Heartbeat:
    (row,) = store.liveness.list_heartbeats()
    return row


def test_a_main_thread_that_waits_shows_as_idle_and_one_that_computes_as_busy(store: Store) -> None:
    pulse = Pulse()
    with beating(store, "host:1", pulse, every_s=0.05):
        pulse.mark("turn of project 7")
        time.sleep(0.4)
        hung = _row(store)
        until_s = time.monotonic() + 0.2
        while time.monotonic() < until_s:
            sum(range(1000))
        busy = _row(store)

    assert hung.step == "turn of project 7"
    assert hung.beat_s - max(hung.step_s, hung.busy_s) > 0.2  # the heartbeat goes on, and nothing else does
    assert busy.step_s == hung.step_s
    assert busy.beat_s - busy.busy_s < 0.1
    assert store.liveness.list_heartbeats() == []  # a worker that stops by itself leaves nothing


def test_a_job_moves_on_with_each_stage_and_each_look_at_its_lease(store: Store) -> None:
    steps = []
    pulse = Pulse(clock=iter(range(100)).__next__)

    def job(project: str, held: Held) -> None:
        held.enter("write queue")
        steps.append((pulse.step, pulse.step_s))
        held.holds()
        steps.append((pulse.step, pulse.step_s))

    store.jobs.request_job("7", "turn")
    claim = store.jobs.claim_job("w", lease_s=30.0)
    assert claim is not None
    run_held(store, claim, job, pulse=pulse)

    assert steps == [("turn of project 7: write queue", 2), ("turn of project 7: write queue", 3)]


def test_a_new_worker_forgets_those_of_its_host_that_died_and_those_of_yesterday(store: Store) -> None:
    def said(worker: str, beat_s: float) -> None:
        store.liveness.save_heartbeat(Heartbeat(worker, beat_s, beat_s, "", beat_s, beat_s))

    said("other:5", time.time() - 86_400)
    said("other:6", time.time())
    said(f"{socket.gethostname()}:{2**22 + 1}", time.time())  # no process has such a number
    with beating(store, "host:1", Pulse()):
        names = {row.worker for row in store.liveness.list_heartbeats()}

    assert names == {"other:6", "host:1"}


def test_a_process_that_began_after_the_last_heartbeat_is_not_the_worker_whose_number_it_has() -> None:
    me, now_s = f"{socket.gethostname()}:{os.getpid()}", time.time()

    assert not is_dead_here(Heartbeat(me, now_s, now_s, "", now_s, now_s))
    assert is_dead_here(Heartbeat(me, 1000.0, 1000.0, "", 1000.0, 1000.0))
    assert not is_dead_here(Heartbeat("other:1", 1000.0, 1000.0, "", 1000.0, 1000.0))


def test_a_worker_that_waits_for_label_studio_does_not_hang(store: Store) -> None:
    with silent() as port, beating(store, "host:1", Pulse(), every_s=0.05):
        with (
            Transport(f"http://127.0.0.1:{port}", "a" * 40, timeout_s=0.5, tries=1) as transport,
            pytest.raises(LabelStudioError, match="does not answer"),
        ):
            transport.send("GET", "api/version")
        asked = _row(store)
        time.sleep(0.3)
        hung = _row(store)

    assert asked.beat_s - asked.busy_s < 0.1
    assert hung.beat_s - hung.busy_s > 0.1


def test_a_heartbeat_that_is_late_at_the_end_does_not_come_after_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feedback.jobs.heartbeat._LAST_CALL_S", 0.01)
    late, may_go_on = threading.Event(), threading.Event()

    def clock() -> float:
        if threading.current_thread().name == "heartbeat":
            late.set()
            may_go_on.wait(10)
        return time.time()

    threading.Timer(0.2, may_go_on.set).start()
    with beating(store, "host:1", Pulse(clock), every_s=0.001):
        assert late.wait(10)
    for thread in threading.enumerate():
        if thread.name == "heartbeat":
            thread.join(10)

    assert store.liveness.list_heartbeats() == []
