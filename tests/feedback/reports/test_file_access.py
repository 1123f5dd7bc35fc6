"""`hitl status` warns of a data directory that others may write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from feedback.reports import file_access
from feedback.reports.file_access import access_findings, find_writable_by_others
from feedback.reports.health import list_findings
from feedback.settings import read_settings

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "above" / "data"
    made.mkdir(parents=True)
    made.parent.chmod(0o755)
    made.chmod(0o700)
    store = made / "hitl.sqlite3"
    store.touch()
    store.chmod(0o600)
    return made


@pytest.fixture(autouse=True)
def no_own_group(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file_access, "_is_own_group", lambda group: False)


def test_a_directory_of_ours_alone_is_no_problem(folder: Path):
    assert access_findings(folder) == []
    assert access_findings(folder / "not there yet") == []


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702, 0o720, 0o1777])
def test_a_directory_that_others_may_write_is_named(folder: Path, mode: int):
    folder.chmod(mode)

    (problem,) = access_findings(folder)

    assert str(folder) in problem.what
    assert "chmod go-w" in problem.fix


@pytest.mark.parametrize("mode", [0o666, 0o620, 0o602])
def test_a_file_of_the_store_that_others_may_write_is_named(folder: Path, mode: int):
    (folder / "hitl.sqlite3").chmod(mode)

    assert find_writable_by_others(folder) == [folder / "hitl.sqlite3"]


@pytest.mark.parametrize(("mode", "is_named"), [(0o777, True), (0o775, True), (0o1777, False), (0o755, False)])
def test_a_directory_above_in_which_ours_could_be_replaced_is_named(folder: Path, mode: int, is_named: bool):
    folder.parent.chmod(mode)

    assert (find_writable_by_others(folder) == [folder.parent]) == is_named


def test_what_belongs_to_another_user_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch):
    if os.geteuid() == 0:
        os.chown(folder, 12_345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)

    assert folder in find_writable_by_others(folder)


def test_a_link_is_followed_to_where_the_data_are(folder: Path, tmp_path: Path):
    folder.chmod(0o777)
    (tmp_path / "link").symlink_to(folder)

    assert find_writable_by_others(tmp_path / "link") == [folder]


def test_the_status_says_it(folder: Path):
    folder.chmod(0o777)
    settings = read_settings({"HITL_DATA_DIR": str(folder), "HITL_PORT": "1"})

    assert any("others may write the data directory" in found.what for found in list_findings(settings, None))
