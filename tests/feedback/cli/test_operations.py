"""History, backup, forget and access on a real store, as an operator types them."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from feedback.cli import app
from feedback.errors import FeedbackError, FileError, NotConfirmed
from feedback.store import ProjectRow, Store, open_store
from feedback.store.tables import main_tables
from tests.support.make_events import annotation_event, deletion_event, skip_event, task, task_events
from tests.support.projections import projection_hash

Hitl = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HITL_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def store_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'hitl.sqlite3'}"


@pytest.fixture
def store_with_votes(store: Store) -> Store:
    store.projects.save_project(ProjectRow("1", title="t", label_config="<View/>"))
    store.append(task_events(task(1), task(2)))
    store.append(
        [
            annotation_event(5, "A", task=1, person=7),
            annotation_event(5, "B", task=1, person=7, second=2),
            deletion_event(5),
        ]
    )
    store.append([annotation_event(6, "A", task=2, person=8), skip_event(9, task=2, person=7, second=4)])
    store.records.create_record("1", "reliability", {"people": {"7": 0.9, "8": 0.8}})
    return store


@pytest.fixture
def hitl(folder: Path) -> Hitl:
    def run(*words: str, code: int = 0, **options: Any) -> Result:
        done = CliRunner().invoke(app, [str(word) for word in words], **options)
        assert done.exit_code == code, done.output
        return done

    return run


def opened(folder: Path) -> Store:
    return open_store(f"sqlite:///{folder / 'hitl.sqlite3'}")


def test_history_shows_every_version_and_the_deletion(store_with_votes: Store, hitl: Hitl):
    versions = json.loads(hitl("history", "1", "1", "--json").output)
    table = hitl("history", "1", "1").output

    assert [(entry["annotation"], entry["action"]) for entry in versions] == [
        (5, "saved"),
        (5, "saved"),
        (5, "deleted"),
    ]
    assert "deleted" in table
    assert "Task 77 has no annotation." in hitl("history", "1", "77").output


def test_texts_of_annotators_are_not_markup_of_the_terminal(store_with_votes: Store, hitl: Hitl):
    store_with_votes.append([annotation_event(11, "[red]x[/red][/]", task=2, person=7)])

    assert "[red]x[/red][/]" in hitl("history", "1", "2", env={"COLUMNS": "300"}).output


def test_a_backup_taken_in_use_is_restored_and_the_replaced_store_is_kept(
    store_with_votes: Store, folder: Path, hitl: Hitl, tmp_path: Path
):
    before = projection_hash(store_with_votes, "1")
    hitl("backup", tmp_path / "b.db")
    store_with_votes.append([annotation_event(12, "A", task=1, person=8)])
    store_with_votes.close()

    status_output = hitl("restore-backup", tmp_path / "b.db").output

    again = opened(folder)
    assert projection_hash(again, "1") == before
    assert [(row.project, row.kind) for row in again.jobs.list_jobs() if row.kind == "sweep"] == [("1", "sweep")]
    again.close()
    (kept,) = folder.glob("hitl.sqlite3.before-*")
    assert kept.name in status_output.replace("\n", "")


def test_a_store_in_use_is_not_replaced(store_with_votes: Store, folder: Path, tmp_path: Path, hitl: Hitl):
    hitl("backup", tmp_path / "b.db")

    done = CliRunner().invoke(app, ["restore-backup", str(tmp_path / "b.db")])

    assert isinstance(done.exception, FeedbackError)
    assert "is in use" in str(done.exception)
    assert store_with_votes.verify()["chain"] == "ok"
    assert not list(folder.glob("*.restoring*"))


def test_an_altered_or_truncated_backup_is_refused_and_nothing_changes(
    store_with_votes: Store, folder: Path, tmp_path: Path, hitl: Hitl
):
    whole, altered, cut = (tmp_path / name for name in ("whole.db", "altered.db", "cut.db"))
    hitl("backup", whole)
    shutil.copy(whole, altered)
    with sqlite3.connect(altered) as connection:
        connection.execute("UPDATE event SET entity_id = 99 WHERE seq = 2")
    connection.close()
    cut.write_bytes(whole.read_bytes()[:8000])
    before = projection_hash(store_with_votes, "1")
    store_with_votes.close()

    for entry, message in ((altered, "is damaged"), (cut, "is not a backup"), (tmp_path / "none", "no file")):
        done = CliRunner().invoke(app, ["restore-backup", str(entry)])
        assert isinstance(done.exception, FeedbackError), done.output
        assert message in str(done.exception)

    again = opened(folder)
    assert projection_hash(again, "1") == before
    again.close()
    assert not list(folder.glob("*before*")) + list(folder.glob("*.restoring*"))


def test_a_store_that_is_broken_is_replaced_by_its_backup(
    store_with_votes: Store, folder: Path, tmp_path: Path, hitl: Hitl
):
    hitl("backup", tmp_path / "b.db")
    before = projection_hash(store_with_votes, "1")
    store_with_votes.close()
    (folder / "hitl.sqlite3").write_bytes(b"not a database at all" * 500)

    done = hitl("restore-backup", tmp_path / "b.db")

    again = opened(folder)
    assert projection_hash(again, "1") == before
    again.close()
    assert "Run `hitl forget` again for everybody who was erased since" in done.output


def test_a_restore_that_is_killed_leaves_the_old_store(
    store_with_votes: Store, folder: Path, tmp_path: Path, hitl: Hitl, monkeypatch: pytest.MonkeyPatch
):
    hitl("backup", tmp_path / "b.db")
    store_with_votes.append([annotation_event(55, "A", task=2, person=9)])
    before = projection_hash(store_with_votes, "1")
    store_with_votes.close()
    replace_by = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if self.name.endswith(".restoring"):
            raise KeyboardInterrupt
        return replace_by(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        CliRunner().invoke(app, ["restore-backup", str(tmp_path / "b.db")])

    again = opened(folder)
    assert projection_hash(again, "1") == before
    again.close()
    hitl("restore-backup", tmp_path / "b.db")
    again = opened(folder)
    assert 9 not in {vote.person for vote in again.votes.list_votes("1")}
    again.close()


def test_a_backup_goes_to_standard_output_and_is_restored(store_with_votes: Store, folder: Path, tmp_path: Path):
    before = projection_hash(store_with_votes, "1")
    done = CliRunner().invoke(app, ["backup", "-"])
    (tmp_path / "b.db").write_bytes(done.stdout_bytes)
    store_with_votes.close()
    CliRunner().invoke(app, ["restore-backup", str(tmp_path / "b.db")], catch_exceptions=False)

    again = opened(folder)
    assert projection_hash(again, "1") == before
    again.close()
    assert not Path("-").exists()


def test_only_the_owner_may_read_store_and_backup(store_with_votes: Store, folder: Path, tmp_path: Path, hitl: Hitl):
    (tmp_path / "b.db").touch(mode=0o644)
    store_with_votes.receive([annotation_event(77, "A")])
    hitl("backup", tmp_path / "b.db", "--yes")

    files = [tmp_path / "b.db", *folder.glob("hitl*.sqlite3*")]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert {file.name for file in files} >= {"b.db", "hitl.sqlite3", "hitl-inbox.sqlite3"}


def test_a_backup_reports_what_is_missing_in_it(store_with_votes: Store, tmp_path: Path, hitl: Hitl):
    store_with_votes.receive([annotation_event(77, "A")])
    with store_with_votes._box.write() as connection:
        connection.execute(main_tables.inbox.update().values(delivery=b"half a deli"))

    assert "Not in it: 1 webhook that could not be processed" in hitl("backup", tmp_path / "b.db").output


def test_a_backup_replaces_a_file_only_with_a_yes(store_with_votes: Store, tmp_path: Path, hitl: Hitl):
    hitl("backup", tmp_path / "b.db")
    before = (tmp_path / "b.db").read_bytes()
    store_with_votes.append([annotation_event(12, "A", task=1, person=8)])
    refused = CliRunner().invoke(app, ["backup", str(tmp_path / "b.db")])

    assert isinstance(refused.exception, NotConfirmed)
    assert "b.db exists. Replace it?" in str(refused.exception)
    assert (tmp_path / "b.db").read_bytes() == before
    hitl("backup", tmp_path / "b.db", "--yes")
    assert (tmp_path / "b.db").read_bytes() != before


@pytest.mark.parametrize("name", ["votes.csv", "empty.db", "cut.db", "other.sqlite3"])
def test_a_file_that_is_no_backup_is_refused_under_its_own_name(
    store_with_votes: Store, folder: Path, tmp_path: Path, hitl: Hitl, name: str
):
    """An empty file and the database of another program would otherwise become an empty store."""
    hitl("backup", tmp_path / "whole.db")
    with sqlite3.connect(tmp_path / "other.sqlite3") as other:
        other.execute("CREATE TABLE task (id INTEGER)")
    other.close()
    contents = {"votes.csv": b"task,person,label\n1,2,a\n", "empty.db": b""}
    contents["cut.db"] = (tmp_path / "whole.db").read_bytes()[:8000]
    if name in contents:
        (tmp_path / name).write_bytes(contents[name])
    before = projection_hash(store_with_votes, "1")
    store_with_votes.close()
    refused = CliRunner().invoke(app, ["restore-backup", str(tmp_path / name)])

    assert isinstance(refused.exception, FileError)  # wrong use: exit code 2
    assert str(refused.exception).startswith(f"{tmp_path / name} is not a backup: ")
    assert "restoring" not in str(refused.exception)
    again = opened(folder)
    assert projection_hash(again, "1") == before
    again.close()


@pytest.mark.parametrize("name", ["hitl.sqlite3", "hitl-inbox.sqlite3", "hitl.sqlite3-wal"])
def test_a_backup_never_overwrites_the_store(store_with_votes: Store, folder: Path, name: str):
    before = projection_hash(store_with_votes, "1")

    done = CliRunner().invoke(app, ["backup", str(folder / ".." / folder.name / name)])

    assert "is the store itself" in str(done.exception)
    assert projection_hash(store_with_votes, "1") == before


def test_an_erased_person_is_not_restored_by_a_backup(
    store_with_votes: Store, folder: Path, tmp_path: Path, hitl: Hitl
):
    hitl("backup", tmp_path / "b.db")
    hitl("forget", "1", "--person", "7", "--yes")
    store_with_votes.close()

    done = hitl("restore-backup", tmp_path / "b.db").output
    assert "erased again" in done

    again = opened(folder)
    assert f"Restored {again.get_stats().events} events" in done  # as `hitl status` counts them
    assert again.events.list_versions_by_person("1", 7) == []
    assert again.verify() | {"events": 0} == {"events": 0, "chain": "ok", "projection": "ok"}
    again.close()


def test_forget_asks_for_confirmation_and_erases_everything(store_with_votes: Store, folder: Path, hitl: Hitl):
    hitl("forget", "1", "--person", "7", input="n\n", code=1)
    assert store_with_votes.events.list_versions_by_person("1", 7)

    done = json.loads(hitl("forget", "1", "--person", "7", "--yes", "--json").output)

    assert done["annotations"] == [5, 9]
    nothing = hitl("access", "1", "--person", "7")
    found = json.loads(nothing.stdout)
    assert (found["versions"], found["held"]) == ([], {})
    assert "Nothing is stored about person 7 in project 1." in nothing.stderr
    assert store_with_votes.verify()["chain"] == "ok"


def test_forgetting_what_is_not_there_says_so_and_erases_nothing(store_with_votes: Store, hitl: Hitl):
    unknown = hitl("forget", "1", "--task", "9999", "--yes").output
    body = json.loads(hitl("forget", "1", "--task", "9999", "--yes", "--json").output)
    first, again = (hitl("forget", "1", "--task", "2", "--yes").output for _ in range(2))

    assert "No data and no answer of task 9999 was stored." in unknown
    assert "0 tasks" in unknown
    assert (body["tasks"], body["annotations"]) == ([], [])
    assert "Erased 2 annotations and 1 task " in first
    assert "No data and no answer of task 2 was stored." in again
    assert "No answer of person 77 was stored." in hitl("forget", "1", "--person", "77", "--yes").output


def test_forget_promises_a_model_only_from_enough_rows(store_with_votes: Store, hitl: Hitl):
    learned = {"version": "m1", "annotations": [6]}
    store_with_votes.records.create_record("1", "training", learned, key="m1")
    done = hitl("forget", "1", "--task", "2", "--yes").output

    assert "Models that learned from them: m1." in done
    assert (
        "as soon as there are 20 training tasks (train.min_rows) with answers of two kinds; 0 tasks are answered"
        in done
    )
    assert "The next turn trains" not in done


def test_access_prints_all_data_of_one_person_and_none_of_another(store_with_votes: Store, hitl: Hitl):
    found = json.loads(hitl("access", "1", "--person", "7").output)

    assert [(entry["annotation"], entry["action"]) for entry in found["versions"]] == [
        (5, "saved"),
        (5, "saved"),
        (5, "deleted"),
        (9, "saved"),
    ]
    held = found["held"]
    assert [entry["kind"] for entry in held["record"]] == ["reliability"]
    assert [(entry["id"], entry["was_cancelled"]) for entry in held["annotation"]] == [(5, False), (9, True)]
    assert [(entry["answers"], entry["skips"]) for entry in held["person"]] == [(0, 1)]
    assert all(entry["body"] is None or entry["body"]["person"] == 7 for entry in found["versions"] if entry["body"])


def test_unpark_retries_a_parked_job(store_with_votes: Store, hitl: Hitl):
    store_with_votes.jobs.request_job("1", "turn")
    for _ in range(5):
        claim = store_with_votes.jobs.claim_job("w", lease_s=30.0, kinds=("turn",))
        assert claim is not None
        store_with_votes.jobs.fail_job(claim, "poison")
        with sqlite3.connect(store_with_votes._database.path or "") as connection:
            connection.execute("UPDATE job SET due_s = 0")
        connection.close()

    assert "turn will be retried" in hitl("store", "unpark", "1").output
    assert [row.state for row in store_with_votes.jobs.list_jobs() if row.kind == "turn"] == ["wanted"]
    assert "no job is parked" in hitl("store", "unpark", "1").output


def test_a_rebuild_says_that_others_wait(store_with_votes: Store, hitl: Hitl):
    done = hitl("store", "rebuild")

    assert "The tables match the event log." in done.stdout
    assert "Nothing else is written" in done.stderr


def test_a_rebuild_check_that_finds_a_difference_fails(store_with_votes: Store, hitl: Hitl):
    assert "match the event log" in hitl("store", "rebuild", "--check").stdout
    with store_with_votes._database.write() as connection:
        connection.execute(main_tables.vote.delete())

    found = hitl("store", "rebuild", "--check", code=1)

    assert "The tables differ from the event log: project 1: vote 6 is missing" in found.stdout
    assert "match the event log" in hitl("store", "rebuild").stdout
    assert len(store_with_votes.votes.list_votes("1")) == 1
