"""What a command shows while it works: a line on a terminal, nothing in a pipe, and never beside its output."""

from __future__ import annotations

import io
import os
import pty
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from feedback.cli.progress import CommandProgress, report_progress
from feedback.cli.terminal import echo, screen
from ml_backend.printable import PrintableStream

Terminal = Callable[[], str]


@contextmanager
def a_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """Make standard error a terminal, and standard output a file; give what the terminal has got so far."""
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", PrintableStream(io.StringIO()))
    with os.fdopen(slave, "w", buffering=1) as stream:
        monkeypatch.setattr(sys, "stderr", PrintableStream(stream))

        def read() -> str:
            parts = []
            while True:
                try:
                    parts.append(os.read(master, 1 << 16))
                except BlockingIOError:
                    return b"".join(parts).decode()

        yield read
    os.close(master)


def wait_for(terminal: Terminal, text: str) -> str:
    got, end = "", time.monotonic() + 5
    while text not in got and time.monotonic() < end:
        time.sleep(0.02)
        got += terminal()
    return got


def test_a_command_that_takes_long_shows_a_line_with_the_time(monkeypatch: pytest.MonkeyPatch):
    with a_terminal(monkeypatch) as terminal, CommandProgress("hitl agree", after_s=0.05):
        assert "hitl agree" in wait_for(terminal, "0:00:00")

        report_progress("9 tasks compared", 9, 10)
        assert "9 tasks compared" in wait_for(terminal, "9 tasks compared")


def test_a_command_that_is_done_soon_shows_nothing(monkeypatch: pytest.MonkeyPatch):
    with a_terminal(monkeypatch) as terminal, CommandProgress("hitl status", after_s=0.3):
        report_progress("1 task compared")
        echo("done", errors=True)
        time.sleep(0.4)

        got = terminal()

    assert got.startswith("done")
    assert "compared" not in got


@pytest.mark.parametrize(
    "print_one", [lambda: echo("7 votes"), lambda: screen().print("7 votes")], ids=["line", "table"]
)
def test_the_first_output_takes_the_line_away(monkeypatch: pytest.MonkeyPatch, print_one: Callable[[], None]):
    with a_terminal(monkeypatch) as terminal, CommandProgress("hitl agree", after_s=0.05):
        wait_for(terminal, "hitl agree")
        print_one()
        gone = terminal()
        time.sleep(0.3)
        after = terminal()

        assert "\x1b[2K" in gone  # the line is erased
        assert after == ""  # and stays away: a question may follow
        assert sys.stdout.raw.getvalue() == "7 votes\n"  # type: ignore[attr-defined]


def test_a_command_that_reports_after_its_first_output_has_a_line_again(monkeypatch: pytest.MonkeyPatch):
    with a_terminal(monkeypatch) as terminal, CommandProgress("hitl store rebuild", after_s=0.05):
        echo("webhooks wait")
        time.sleep(0.1)
        report_progress("project 7", 1, 2)

        assert "project 7" in wait_for(terminal, "project 7")


def test_a_pipe_gets_no_progress(monkeypatch: pytest.MonkeyPatch):
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", PrintableStream(pipe))

    with CommandProgress("hitl agree", after_s=0.0):
        report_progress("9 tasks compared")
        time.sleep(0.05)

    assert pipe.getvalue() == ""
