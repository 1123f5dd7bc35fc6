"""Each problem gives one finding, which says what it is and what to do; a healthy service gives none."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from feedback.ingest.incidents import IncidentCounts, IncidentRecorder
from feedback.reports.health import (
    RecentProblems,
    describe_health,
    find_problems,
    health_gauges,
    list_findings,
    worker_findings,
)
from feedback.settings import Settings, read_settings
from feedback.store import Heartbeat, ProjectRow, Store, open_store
from ml_backend.labelstudio.doctor import Finding
from tests.support.make_events import annotation_event

NOW_S = 1_800_000_000.0
ALIVE = Heartbeat("host:12", NOW_S - 500, NOW_S - 3, "", NOW_S - 3, NOW_S - 400)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({"HITL_DATA_DIR": str(tmp_path), "HITL_PORT": "9"})  # where nobody listens


@pytest.fixture
def old(settings: Settings) -> Iterator[Store]:
    """A store whose clock stands an hour back."""
    store = open_store(settings.store_url, clock=lambda: time.time() - 3600, durability="normal")
    yield store
    store.close()


@pytest.fixture
def healthy(settings: Settings) -> Iterator[Store]:
    """A store with a worker that waits for work."""
    with_worker = open_store(settings.store_url, durability="normal")
    now_s = time.time()
    with_worker.liveness.save_heartbeat(replace(ALIVE, beat_s=now_s, step_s=now_s))
    yield with_worker
    with_worker.close()


def problems(settings: Settings, store: Store) -> list[Finding]:
    return find_problems(settings, store, IncidentCounts(store))


def test_a_store_with_a_worker_has_no_problem_and_is_ready(settings: Settings, healthy: Store) -> None:
    found = problems(settings, healthy)

    assert found == []
    assert describe_health(found) == {"ready": True, "findings": []}
    assert health_gauges(found)["hitl_ready"] == 1.0
    assert set(health_gauges(found).values()) == {0.0, 1.0}


def test_webhooks_that_nobody_takes_in_fill_the_inbox_until_somebody_does(settings: Settings, old: Store) -> None:
    old.receive([annotation_event(5, "A")])
    (waits,) = [found for found in problems(settings, old) if found.name == "inbox"]

    old.ingest_inbox()

    assert "1 webhook has waited for 1 hour" in waits.what
    assert "hitl worker" in waits.fix
    assert not any(found.name == "inbox" for found in problems(settings, old))


def test_a_web_process_that_does_not_answer_is_found(settings: Settings, old: Store) -> None:
    (found,) = [found for found in list_findings(settings, old) if found.name == "service not reached"]

    assert "does not answer at http://127.0.0.1:9" in found.what
    assert "hitl serve" in found.fix


@pytest.mark.parametrize(
    ("row", "severity", "what"),
    [
        (ALIVE, "", ""),
        (replace(ALIVE, step="turn of project 7: train and judge", step_s=NOW_S - 100, busy_s=NOW_S - 3), "", ""),
        (replace(ALIVE, step_s=NOW_S - 20), "", ""),  # a slow write
        (replace(ALIVE, beat_s=NOW_S - 26, step_s=NOW_S - 26), "error", "no sign of life for 26 seconds"),
        (replace(ALIVE, step="turn of project 7: write queue", step_s=NOW_S - 40), "error", "in “turn of project 7: w"),
        (replace(ALIVE, step_s=NOW_S - 40), "error", "hangs: it has done nothing for 37 seconds while it waits"),
        (replace(ALIVE, step_s=NOW_S - 200, busy_s=NOW_S - 3), "warning", "has been busy for 3.3 minutes"),
        (replace(ALIVE, step_s=NOW_S - 900, busy_s=NOW_S - 3), "error", "has been busy for 15 minutes"),
        (replace(ALIVE, label_studio="certificate expired.", remedy="Renew it."), "error", "certificate expired."),
    ],
)
def test_a_worker_is_alive_hangs_or_computes(row: Heartbeat, severity: str, what: str) -> None:
    found = list(worker_findings([row], now_s=NOW_S))

    assert [one.severity for one in found] == ([severity] if severity else [])
    assert all(what in one.what and one.fix for one in found)


def test_without_a_worker_nothing_is_learned_and_beside_another_one_a_dead_one_is_a_warning() -> None:
    dead = replace(ALIVE, worker="other:3", beat_s=NOW_S - 300)

    assert [one.severity for one in worker_findings([], now_s=NOW_S)] == ["error"]
    assert [one.severity for one in worker_findings([dead], now_s=NOW_S)] == ["error"]
    assert [one.severity for one in worker_findings([ALIVE, dead], now_s=NOW_S)] == ["warning"]


def test_the_remedy_of_a_worker_of_this_host_depends_on_whether_its_process_exists() -> None:
    me, now_s = f"{socket.gethostname()}:{os.getpid()}", time.time()
    silent = replace(ALIVE, worker=me, beat_s=now_s)
    (stopped,) = worker_findings([silent], now_s=now_s + 300)
    (dead,) = worker_findings([replace(silent, worker=f"{socket.gethostname()}:{2**22 + 1}")], now_s=now_s + 300)
    (replaced,) = worker_findings([replace(silent, beat_s=1000.0)], now_s=now_s)  # its number was given again

    assert "it is stopped." in stopped.what
    assert f"kill -9 {os.getpid()}" in stopped.fix
    assert "it has died." in dead.what
    assert "it has died." in replaced.what
    assert dead.fix == replaced.fix == "Start `hitl serve` again."


@pytest.mark.parametrize(
    ("event", "name", "fix"),
    [("webhook_secret_unknown", "other store", "hitl.sqlite3"), ("webhook_not_stored", "inbox", "space, rights")],
)
def test_refused_webhooks_are_an_error_while_they_are_refused_and_news_of_the_day_afterwards(
    settings: Settings, healthy: Store, event: str, name: str, fix: str
) -> None:
    def refused(at_s: float) -> Finding:
        recorder = IncidentRecorder(healthy, clock=lambda: at_s)
        recorder.count(event, 2)
        recorder.stop()
        (found,) = problems(settings, healthy)
        assert (found.name, fix in found.fix) == (name, True)
        return found

    assert refused(time.time() - 7200).severity == "warning"
    assert refused(time.time()).severity == "error"
    healthy.receive([annotation_event(5, "A")])  # the next one arrives
    healthy.ingest_inbox()
    (found,) = problems(settings, healthy)
    assert found.severity == "warning"


def test_webhooks_that_are_refused_for_their_secret_are_not_said_to_stay_away(
    settings: Settings, healthy: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy.projects.save_project(ProjectRow("7", connected=True))
    healthy.liveness.record_polled_answers("7", 3, began_s=time.time())
    monkeypatch.setattr("feedback.reports.health._ARRIVING_S", -1.0)  # half a minute later
    recorder = IncidentRecorder(healthy, clock=time.time)
    recorder.count("webhook_secret_unknown", 3)
    recorder.stop()

    (found,) = problems(settings, healthy)

    assert (found.name, found.severity) == ("other store", "error")
    assert "HITL_WEBHOOK_SECRET was changed after `hitl connect`" in found.what


def test_answers_that_polls_alone_found_name_the_project_until_a_webhook_comes(
    settings: Settings, healthy: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    began_s = time.time()
    for project, connected in (("7", True), ("8", False)):
        healthy.projects.save_project(ProjectRow(project, connected=connected))
        healthy.liveness.record_polled_answers(project, 3, began_s=began_s)
    soon = problems(settings, healthy)
    monkeypatch.setattr("feedback.reports.health._ARRIVING_S", -1.0)  # half a minute later

    (found,) = problems(settings, healthy)
    healthy.receive([annotation_event(5, "A", project="7")])
    healthy.ingest_inbox()

    assert soon == []
    assert "webhooks of project 7 do not arrive (none ever came): polls alone found 3 answers" in found.what
    assert "http://127.0.0.1:9/webhook" in found.fix
    assert health_gauges([found]) | {"hitl_ready": 0.0, "hitl_findings_webhook": 1.0} == health_gauges([found])
    assert problems(settings, healthy) == []


def test_many_readers_cost_one_look() -> None:
    looks: list[int] = []
    recent = RecentProblems(lambda: looks.append(1) or [])

    assert [recent() for _ in range(5)] == [[]] * 5
    assert looks == [1]


def test_who_asks_while_the_first_look_is_under_way_does_not_hear_that_all_is_well() -> None:
    trouble, looks, may_end = [Finding("store", "error", "it is away.", "")], threading.Event(), threading.Event()

    def look() -> list[Finding]:
        looks.set()
        may_end.wait(5.0)
        return trouble

    recent, heard = RecentProblems(look), []
    readers = [threading.Thread(target=lambda: heard.append(recent())) for _ in range(2)]
    readers[0].start()
    looks.wait(5.0)
    readers[1].start()
    threading.Timer(0.1, may_end.set).start()
    for reader in readers:
        reader.join(5.0)

    assert heard == [trouble, trouble]
