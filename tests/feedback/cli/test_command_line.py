from __future__ import annotations

import subprocess
import sys

import pytest


def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "feedback", *args],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "/usr/bin:/bin", **env},
        check=False,
    )


def test_help_names_every_command_and_imports_nothing_heavy():
    code = (
        "import sys, feedback.cli as c, typer.testing as t;"
        "r = t.CliRunner().invoke(c.app, ['--help']); print(r.output);"
        "print('HEAVY', [m for m in ('numpy', 'sklearn', 'sqlalchemy', 'flask') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert "HEAVY []" in out
    for command in ("demo", "serve", "connect", "disconnect", "pause", "doctor", "status", "turn", "agree"):
        assert command in out


@pytest.mark.slow
@pytest.mark.parametrize("command", ["status", "connect 7", "turn 7", "disconnect 7", "pause 7", "doctor"])
def test_a_wrong_setting_is_an_error_message(command: str, tmp_path):
    done = run(*command.split(), HITL_PORT="ninety", HITL_DATA_DIR=str(tmp_path))

    assert done.returncode == 2
    assert "HITL_PORT is 'ninety'" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_project_is_an_error_that_lists_the_known_ones(tmp_path):
    done = run("turn", "7", HITL_DATA_DIR=str(tmp_path / "new"))

    assert done.returncode == 2
    assert "project '7' is not known; known projects: none" in done.stderr
    assert "hitl connect" in done.stderr
