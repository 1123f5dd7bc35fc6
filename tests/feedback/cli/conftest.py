"""Tests print tables at a fixed width, whatever the terminal, and run the command as a shell does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from feedback.cli import main

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _default_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def run_main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in this process, with its exit code, on a data directory and in an environment of its own."""

    def run(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        code: str | int | None = 0
        with monkeypatch.context() as patch:
            for name in os.environ:
                patch.delenv(name)
            for name, value in {"PATH": "/usr/bin:/bin", "HITL_DATA_DIR": str(folder), **env}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["hitl", *words])
            try:
                main()
            except SystemExit as end:
                code = end.code
        assert isinstance(code, int)
        return subprocess.CompletedProcess(words, code, *capsys.readouterr())

    return run
