"""What somebody meets who has just installed hitl: help that teaches, mistakes in words, texts as they stand."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest

from feedback.policy import Policy, read_policy
from feedback.project.connect import describe_learning
from feedback.store import Heartbeat, ProjectRow, open_store
from tests.support import stores
from tests.support.make_events import annotation_event, task, task_events

Hitl = Callable[..., subprocess.CompletedProcess[str]]

SENTIMENT = (
    '<View><Text name="t" value="$text"/>'
    '<Choices name="sentiment" toName="t"><Choice value="A"/><Choice value="B"/></Choices>{more}</View>'
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data directory with one project, called and labelled by somebody who likes brackets."""
    store = stores.fresh(tmp_path / "hitl.sqlite3")
    store.projects.save_project(ProjectRow("1", title="[bold]Été[/] :b: [/x]", label_config=SENTIMENT.format(more="")))
    store.append(task_events(task(1), task(2)))
    store.append([annotation_event(5, "[/x] [red]A", task=1, person=7)])
    store.records.create_record("1", "turn", {"notes": ["not trained: [/y]"], "trainable": 1})
    store.close()
    return tmp_path


@pytest.fixture
def hitl(folder: Path, run_main: Hitl) -> Hitl:
    return partial(run_main, folder)


def environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HITL_DATA_DIR": str(folder), **more}


@pytest.mark.parametrize("words", [["status"], ["status", "1"], ["history", "1", "1"]])
def test_texts_from_people_are_printed_unchanged(folder: Path, words: list[str]):
    command = [sys.executable, "-m", "feedback", *words]  # a process, whose output is encoded
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(folder, {}), check=False)

    assert done.stderr == ""
    assert ("[/x] [red]A" if words[0] == "history" else "[bold]Été[/] :b: [/x]") in done.stdout


def test_status_prints_sentences_and_what_does_not_run(hitl: Hitl, folder: Path):
    text, plain = hitl("status", "1").stdout, json.loads(hitl("status", "1", "--json").stdout)

    assert "1 of 2 tasks: 1 answer by 1 person" in text
    assert "not trained: [/y]" in text
    assert "e+09" not in text  # no moment as a number of seconds
    assert plain["projects"][0]["answered"] == 1
    assert f"Store: {folder / 'hitl.sqlite3'} (" in text
    assert plain["service"]["store"] == str(folder / "hitl.sqlite3")
    trouble = {row["name"]: row for row in plain["service"]["trouble"]}
    assert set(trouble) == {"service not reached", "worker"}  # neither half of the service runs
    assert all(row["severity"] == "error" and f"{row['what']} {row['fix']}" in text for row in trouble.values())


def test_status_reports_that_label_studio_does_not_answer(hitl: Hitl):
    done = hitl("status", LABEL_STUDIO_URL="http://127.0.0.1:9", LABEL_STUDIO_API_KEY="x")

    assert "Label Studio is not reached: nothing listens at http://127.0.0.1:9" in done.stdout
    assert "correct LABEL_STUDIO_URL" in done.stdout


def test_status_shows_webhooks_that_wait_and_then_takes_them_in(hitl: Hitl, folder: Path):
    store = open_store(f"sqlite:///{folder / 'hitl.sqlite3'}", clock=lambda: time.time() - 60)
    store.receive([annotation_event(6, "A", task=2, person=7)])
    store.close()

    done = hitl("status", "1")

    assert "the inbox fills up: 1 webhook has waited for 1 minute." in done.stdout
    assert "2 of 2 tasks: 2 answers by 1 person" in done.stdout


def test_status_says_in_one_sentence_that_a_worker_hangs_and_what_to_do(hitl: Hitl, folder: Path):
    store, now_s = open_store(f"sqlite:///{folder / 'hitl.sqlite3'}"), time.time()
    stuck_s = now_s - 60
    store.liveness.save_heartbeat(Heartbeat("host:12", stuck_s, now_s, "turn of project 1", stuck_s, stuck_s))
    store.close()

    done = hitl("status", "1")

    assert "the worker host:12 hangs: it has done nothing for 1 minute in “turn of project 1”." in done.stdout
    assert "`kill -9 12` on host" in done.stdout
    assert "`docker restart host`" in done.stdout


def test_status_without_a_store_fails_with_a_hint(hitl: Hitl, tmp_path: Path):
    (tmp_path / "file").touch()
    done = hitl("status", HITL_DATA_DIR=str(tmp_path / "file"))

    assert done.returncode == 1
    assert "No project yet" not in done.stdout
    assert str(tmp_path / "file") in done.stdout
    assert "Set HITL_DATA_DIR" in done.stdout


def test_help_shows_the_first_steps_and_the_version(hitl: Hitl):
    text = hitl("--help").stdout

    assert text.index("Start") < text.index("demo") < text.index("Inspect")
    assert "LABEL_STUDIO_API_KEY" in text
    assert hitl("--version").stdout.startswith("label-studio-hitl ")


def test_help_that_names_a_section_of_the_policy_keeps_its_brackets(hitl: Hitl):
    text = hitl("signal", "push", "--help").stdout

    assert "[signals]" in text
    assert "[notify]" in text


@pytest.mark.parametrize(
    ("words", "wrong", "next_step"),
    [
        (["turn", "9"], "project '9' is not known; known projects: 1", "`hitl connect 9`"),
        (["turn", "nine"], "project 'nine' is not known; known projects: 1", "Give the number or title of a project"),
        (["backup", "/"], "/ cannot be written", "in an existing folder"),
        (["backup", "/nowhere/x"], "/nowhere/x cannot be written", "in an existing folder"),
        (
            ["overrides", "1", "--csv", "/nowhere/x.csv"],
            "/nowhere/x.csv cannot be written: No such file",
            "another file",
        ),
        (
            ["policy", "check", "/nowhere/hitl.toml"],
            "cannot be read: No such file or directory.",
            "path of a policy file",
        ),
        (["connect", "1"], "LABEL_STUDIO_URL, LABEL_STUDIO_API_KEY not set.", "then run `hitl connect PROJECT`"),
        (["serve", "--host", "127.255.255.254.1"], "which others can reach", "or bind to 127.0.0.1"),
    ],
)
def test_an_error_has_a_hint(hitl: Hitl, words: list[str], wrong: str, next_step: str):
    done = hitl(*words)

    assert done.returncode == 2
    assert wrong in done.stderr
    assert next_step in done.stderr
    assert "Traceback" not in done.stderr


def test_a_policy_that_is_not_text_is_refused(hitl: Hitl, tmp_path: Path):
    (tmp_path / "hitl.toml").write_bytes(b"\x81\xfe")
    done = hitl("policy", "check", str(tmp_path / "hitl.toml"))

    assert done.returncode == 2
    assert "is not text in UTF-8" in done.stderr


def test_serve_refuses_a_taken_port_at_once(hitl: Hitl, folder: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = hitl("serve", "--port", str(other.getsockname()[1]))

    assert done.returncode == 2
    assert "Address already in use" in done.stderr
    assert "--port" in done.stderr
    assert not (folder / "metrics").exists()


def test_connect_names_the_control_that_the_loop_uses():
    config = SENTIMENT.format(more='<Rating name="stars" toName="t"/>')

    assert describe_learning(config, Policy())[0] == "works on control 'sentiment' (choices on text)"
    assert "leaves stars as people answer" in describe_learning(config, Policy())[1]
    assert describe_learning(config, read_policy('[model]\ncontrol = "stars"'))[0].startswith(
        "works on control 'stars'"
    )


def test_connect_names_what_the_loop_cannot_do_with_a_label_config():
    spans = '<View><Labels name="ner" toName="t"><Label value="PER"/></Labels><Text name="t" value="$text"/></View>'
    speech = '<View><Audio name="a" value="$audio"/><Rectangle name="say" toName="a"/></View>'

    assert "no installed recipe learns labels on text" in describe_learning(spans, Policy())[1]
    assert "compared, not learned" in describe_learning(spans, Policy())[1]
    assert "cannot read answers of the kind 'rectangle'" in describe_learning(speech, Policy())[1]
