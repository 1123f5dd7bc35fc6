"""The web half as it is really started: gunicorn, two processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from feedback.store import open_store
from ml_backend.labelstudio.local_server import free_port


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    port = free_port()
    environ = {"PATH": "/usr/bin:/bin", "HITL_DATA_DIR": str(tmp_path / "data"), "HITL_PORT": str(port)}
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen([sys.executable, "-m", "feedback", "serve"], env=environ, stderr=log)
    try:
        yield _wait(f"http://127.0.0.1:{port}")
    finally:
        running.terminate()
        assert running.wait(30) == 0


def _wait(address: str) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/health", timeout=1.0, trust_env=False).is_success:
                return address
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError(f"{address} did not answer")


@pytest.mark.slow
def test_with_only_a_data_directory_it_serves_and_names_what_is_not_set(url: str, tmp_path: Path):
    body = {"tasks": [{"id": 1, "data": {"text": "hi"}}], "project": "1.17", "label_config": _CONFIG, "params": {}}
    answer = httpx.post(f"{url}/predict", json=body, trust_env=False)

    assert answer.json()["results"] == [{"result": [], "score": 0.0, "model_version": "hitl-0"}]
    assert "No Label Studio" in (tmp_path / "log").read_text()


@pytest.mark.slow
def test_no_header_moves_the_paths(url: str):
    """gunicorn believes SCRIPT_NAME from this machine, where a proxy hands on what strangers send."""
    answer = httpx.get(f"{url}/anywhere/health", headers={"SCRIPT_NAME": "/anywhere"}, trust_env=False)

    assert answer.status_code == 404


@pytest.mark.slow
def test_metrics_are_those_of_all_web_processes(url: str):
    with httpx.Client(trust_env=False) as client:
        for _ in range(40):
            client.get(f"{url}/health", headers={"Connection": "close"})
    counts = set()
    for _ in range(6):
        text = httpx.get(f"{url}/metrics", trust_env=False).text
        counts.add(next(line for line in text.splitlines() if 'seconds_count{route="/health"' in line).split()[-1])

    assert len(counts) == 1
    assert float(counts.pop()) >= 40


@pytest.mark.slow
def test_a_worker_that_is_really_stopped_is_said_everywhere_until_it_goes_on(url: str, tmp_path: Path):
    with closing(open_store(f"sqlite:///{tmp_path / 'data' / 'hitl.sqlite3'}")) as store:
        _until(lambda: bool(store.liveness.list_heartbeats()), within_s=30)
        (row,) = store.liveness.list_heartbeats()
    process = int(row.worker.rpartition(":")[2])
    _until(lambda: _health(url)["ready"], within_s=30)

    port, folder = url.rpartition(":")[2], str(tmp_path / "data")

    def hitl(word: str) -> str:
        environ = {"PATH": "/usr/bin:/bin", "HITL_DATA_DIR": folder, "HITL_PORT": port}
        command = [sys.executable, "-m", "feedback", word]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False).stdout

    os.kill(process, signal.SIGSTOP)
    try:
        time.sleep(15)
        is_early = not _health(url)["ready"]
        _until(lambda: not _health(url)["ready"], within_s=20)
        time.sleep(6)  # each web process looks every 5 s
        health, metrics = str(_health(url)["findings"]), httpx.get(f"{url}/metrics", trust_env=False).text
        page = httpx.get(url, headers={"Accept": "text/html"}, trust_env=False).text
        status, doctor = hitl("status"), hitl("doctor")
    finally:
        os.kill(process, signal.SIGCONT)

    assert not is_early  # a slow write is no trouble
    for text in (page, status, doctor, health):
        assert f"{row.worker} has given no sign of life for" in text
        assert f"kill -9 {process}" in text
    assert "hitl_findings_worker 1.0" in metrics
    _until(lambda: _health(url) == {"status": "UP", "ready": True, "findings": []}, within_s=30)


def _health(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{url}/health", trust_env=False).json()
    return found


def _until(true: Callable[[], bool], *, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.2)


_CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="A"/><Choice value="B"/>'
    "</Choices></View>"
)
