from __future__ import annotations

import stat
from pathlib import Path

import pytest

from feedback.app import web_server
from feedback.app.web_server import empty_metrics_directory


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr(web_server, "_MEMORY", folder)
    return folder


def test_each_start_finds_the_same_folder_empty(tmp_path: Path):
    first = empty_metrics_directory(tmp_path)
    (first / "counter_1.db").write_text("old")

    again = empty_metrics_directory(tmp_path)

    assert again == first
    assert list(again.iterdir()) == []
    assert stat.S_IMODE(again.stat().st_mode) == 0o700
    assert empty_metrics_directory(tmp_path / "other") != first


def test_a_folder_that_somebody_else_laid_ready_is_not_used(tmp_path: Path, memory: Path):
    name = empty_metrics_directory(tmp_path)
    name.rmdir()
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "precious").write_text("x")
    name.symlink_to(victim)

    given = empty_metrics_directory(tmp_path)

    assert given != name
    assert (victim / "precious").exists()
