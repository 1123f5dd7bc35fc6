"""The web half as it is really started: gunicorn, two processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

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


_CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="A"/><Choice value="B"/>'
    "</Choices></View>"
)
