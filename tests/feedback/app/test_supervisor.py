"""Real processes, each a line of Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_RUN = """
import os, sys
from feedback.app.supervisor import Supervisor
commands = {name: [sys.executable, "-c", code] for name, code in zip(sys.argv[1::2], sys.argv[2::2])}
sys.exit(Supervisor(commands, env=dict(os.environ)).run())
"""


def supervise(**children: str) -> subprocess.Popen[bytes]:
    arguments = [part for pair in children.items() for part in pair]
    return subprocess.Popen([sys.executable, "-c", _RUN, *arguments], stderr=subprocess.DEVNULL)


def wait_for(path: Path, lines: int, seconds: float = 20.0) -> list[str]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = path.read_text().split() if path.exists() else []
        if len(found) >= lines:
            return found
        time.sleep(0.05)
    raise TimeoutError(f"{path} has fewer than {lines} lines")


def sleeping_child(path: Path) -> str:
    return f"import os, time; open({str(path)!r}, 'a').write(f'{{os.getpid()}}\\n'); time.sleep(60)"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_children_and_the_status_is_zero(tmp_path: Path, number: int):
    running = supervise(a=sleeping_child(tmp_path / "a"), b=sleeping_child(tmp_path / "b"))
    pids = [int(wait_for(tmp_path / name, 1)[0]) for name in "ab"]
    running.send_signal(number)

    assert running.wait(20) == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_killed_child_is_started_again(tmp_path: Path):
    running = supervise(a=sleeping_child(tmp_path / "a"))
    try:
        os.kill(int(wait_for(tmp_path / "a", 1)[0]), signal.SIGKILL)

        assert len(wait_for(tmp_path / "a", 2)) == 2
    finally:
        running.terminate()
        running.wait(20)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent ended")
def test_a_killed_supervisor_leaves_no_child(tmp_path: Path):
    running = supervise(a=sleeping_child(tmp_path / "a"))
    child = int(wait_for(tmp_path / "a", 1)[0])
    running.kill()
    running.wait(20)

    deadline = time.monotonic() + 20.0
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split(")")[1]:
        assert time.monotonic() < deadline, f"process {child} outlives its supervisor"
        time.sleep(0.05)


@pytest.mark.slow
def test_a_child_that_keeps_dying_ends_the_service(tmp_path: Path):
    running = supervise(good=sleeping_child(tmp_path / "good"), bad="raise SystemExit(3)")

    assert running.wait(60) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int(wait_for(tmp_path / "good", 1)[0]), 0)
