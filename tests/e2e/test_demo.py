"""The demo as a newcomer runs it, with fewer answers: a process of its own, a Label Studio of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ml_backend.labelstudio.local_server import free_port
from tests.support.label_studio import DataDirTemplate

pytestmark = pytest.mark.e2e


def test_the_demo_ends_with_promotions_and_an_address_to_log_in_at(tmp_path: Path, template: DataDirTemplate):
    template.copy_to(tmp_path / "label-studio")
    ports = free_port(), free_port()
    command = [
        "demo",
        "--port",
        str(ports[0]),
        "--label-studio-port",
        str(ports[1]),
        "--limit",
        "500",
        "--answers",
        "130",
        "--seconds",
        "100",
        "--data-dir",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "feedback", *command, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "COLUMNS": "160"},
        check=False,
    )

    assert done.returncode == int("BROKEN" in done.stdout), done.stderr  # so few answers need not reach each figure
    assert "What the recipe digits promises" in done.stdout
    assert re.search(r"m\d+-[0-9a-f]+.*promoted", done.stdout), done.stdout
    assert f"Log in: http://127.0.0.1:{ports[1]}/projects/1/" in done.stdout
    assert f"Label Studio http://127.0.0.1:{ports[1]}" in done.stdout
    logins = dict(re.findall(r"^  \w+ +(\S+@\S+) / (\S+)$", done.stdout, re.MULTILINE))
    assert set(logins) == {"admin@example.com", *(f"{name}.1@example.com" for name in ("ada", "ben", "cleo"))}
    assert len(set(logins.values())) == 4
    assert "hitl demo --keep" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "requests failed" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "digts"], "did you mean 'digits'"),
        (["--data", "mine.csv"], "mine.csv"),
        (["--recipe", "spam", "--data", "nowhere.csv"], "cannot be read"),
    ],
)
def test_a_demo_that_cannot_start_gives_the_reason(arguments: list[str], message: str):
    done = subprocess.run(
        [sys.executable, "-m", "feedback", "demo", *arguments], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
