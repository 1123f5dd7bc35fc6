"""No command lets a text of somebody else reach the terminal as anything but text: titles, labels, comments, names."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from feedback.cli import app
from feedback.project.guidelines import record_guideline
from feedback.store import Store
from ml_backend.printable import printable
from tests.support import pages
from tests.support.make_events import annotation_event

EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[31m\x9b5m\x7f\b\u202e[red]x[/red][link=http://evil.example]y[/link]\r\nforged: line"
EVIL = f"\u200f\u061c\u206a{EVIL}"
COMMANDS = [
    ["status"], ["status", "9"], ["status", "9", "--json"], ["status", EVIL], ["doctor", "9"], ["agree", "9"],
    ["doctor", "9", "--json"], ["people", "9"], ["people", "9", "--json"], ["why", "9", "1"],
    ["why", "9", "1", "--json"],
    ["history", "9", "1"], ["history", "9", "1", "--json"], ["history", "9", "x\x1b[2J"],
    ["overrides", "9"], ["overrides", "9", "--csv", "-"], ["cases", "9"], ["cases", "9", "--all"],
    ["cases", "9", "--all", "--json"], ["cases", "9", "--figures"], ["cases", "9", "--tier", EVIL],
    ["cases", "9", "--state", EVIL], ["case", "1"],
    ["case", "1", "--json"], ["case", "2"], ["case", "3"], ["case", "77"], ["policy", "explain", "9"],
    ["policy", "show", "9"], ["policy", "show", "9", "--toml"],
    ["policy", "diff", "9", EVIL], ["policy", "history", "9"], ["policy", "check", "9", EVIL],
    ["policy", "simulate", "9", EVIL], ["policy", "thresholds", "9"], ["policy", "schema"],
    ["policy", "secret", "crm"],
    ["policy", "activate", "9", EVIL], ["gold", "list", "9"], ["gold", "add", "9", EVIL],
    ["gold", "ask", "9", "77"],
    ["gold", "retire", "9", "77"], ["signal", "push", "9", EVIL, "--task", "1"], ["signal", "list", "9"],
    ["signal", "outcomes", "9"], ["store", "verify"], ["store", "rebuild", "--check"], ["store", "unpark", EVIL],
    ["access", "9", "--person", "3"], ["turn", "9"], ["sweep", "9"], ["relabel", "9", "--map", f"{EVIL}={EVIL}"],
    ["connect", EVIL], ["pause", "9"], ["resume", "9"], ["restore", "9", "77"],
    ["forget", "9", "--task", "77", "--yes"], ["disconnect", "9"], ["backup", EVIL], ["restore-backup", EVIL],
    ["export", "9", "-"], ["recipes"], ["new", EVIL], ["evaluate", "--data", EVIL, "--label", EVIL],
    ["open", "9"], ["init", "--url", EVIL, "--token-file", EVIL], ["no such\x1b]0;x\x07"],
]  # fmt: skip
SILENT = {"demo", "serve", "web", "worker"}  # they start processes; their logs are cleaned by the formatter
RUN = """
import json, sys, traceback
from functools import cache
import typer.main
from feedback.cli import main
typer.main.get_command = cache(typer.main.get_command)  # it is the same for each command
for words in json.loads(sys.argv[1]):
    sys.argv = ["hitl", *words]
    try:
        main()
    except SystemExit:
        pass
    except Exception:
        traceback.print_exc()
    print("<<end of", words[0], ">>", flush=True)
"""
COLOURS = re.compile(rb"\x1b\[[0-9;]*m")
CURSOR = re.compile(rb"\r|\x1b\[\??[0-9;]*[A-Za-z]")  # of our progress bars


@pytest.fixture
def environment(store: Store, data_dir: Path) -> dict[str, str]:
    """A store in which everything is hostile, and the environment of commands on it."""
    pages.create_hostile_project(store, "9", EVIL, labels=(EVIL, f"b{EVIL}", f"c{EVIL}"))
    store.append([annotation_event(900, EVIL, task=1, person=3, project="9", second=50)])
    record_guideline(store, "9", {"expert_instruction": EVIL, "label_config": "<View/>"}, now_s=1.0)
    store.close()
    return {**os.environ, "HITL_DATA_DIR": str(data_dir), "HITL_PORT": "1", "COLUMNS": "200"}


def on_a_pipe(environment: dict[str, str]) -> bytes:
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(COMMANDS)], env=environment, capture_output=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


def on_a_terminal(environment: dict[str, str]) -> bytes:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, json.dumps(COMMANDS)],
        env={**environment, "TERM": "xterm-256color"}, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    found = b""
    try:
        while part := os.read(ours, 65_536):
            found += part
    except OSError:  # Linux: the other end is closed
        pass
    process.wait(timeout=60)
    os.close(ours)
    return found.replace(b"\r\n", b"\n")  # the terminal's own


def wrong(output: bytes) -> list[str]:
    """Lines with a control character, each as it would be typed in Python."""
    found = re.compile("(?!\n|\t)[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f]")
    return [ascii(line) for line in output.decode().split("\n") if found.search(line)]


def test_every_command_that_prints_is_tried():
    commands = get_command(app).commands  # type: ignore[attr-defined]
    names = {
        (name, part) if part else (name,)
        for name, command in commands.items()
        for part in getattr(command, "commands", [""])
    }

    tried = {tuple(words[: 2 if words[0] in ("policy", "gold", "signal", "store") else 1]) for words in COMMANDS}
    assert {name for name in names if name[0] not in SILENT} - tried == set()


def test_a_pipe_gets_no_control_character(environment: dict[str, str]):
    output = on_a_pipe(environment)

    assert output.count(b"<<end of") == len(COMMANDS), output[-2000:].decode()
    assert wrong(output) == []
    assert printable(EVIL) in output.decode()
    not_csv = [part for part in output.decode().split("<<end of") if "project,annotation,task" not in part]
    assert [part for part in not_csv if "\nforged: line" in part] == []


def test_a_terminal_gets_only_our_own_styles(environment: dict[str, str]):
    output = on_a_terminal(environment)

    assert output.count(b"<<end of") == len(COMMANDS), output[-2000:].decode()
    assert b"\x1b[31m\\x9b5m" not in output  # the colour of the text, in front of what is in it
    assert wrong(CURSOR.sub(b"", COLOURS.sub(b"", output))) == []
    assert b"]0;owned\\x07" in output
    assert b"\x1b[2J" not in output
    assert b"\x1b]8" not in output  # a link
