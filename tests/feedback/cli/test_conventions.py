"""What holds for every command: PROJECT comes first, --json is a flag, help is plain, exit codes mean the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.text import Text

from feedback.app.project_names import find_number, find_project_of, require_project
from feedback.cli import app
from feedback.errors import NotConnected, UnknownProject
from feedback.store import ProjectRow, Store
from ml_backend.labelstudio.client import Client
from tests.support import stores
from tests.support.make_events import annotation_event, task, task_events

Hitl = Callable[..., subprocess.CompletedProcess[str]]

CONFIG = (
    '<View><Text name="t" value="$text"/>'
    '<Choices name="c" toName="t"><Choice value="A"/><Choice value="B"/></Choices></View>'
)
OF_NO_PROJECT = {
    "demo", "evaluate", "recipes", "new", "serve", "web", "worker", "case", "backup", "restore-backup", "store verify",
    "store rebuild", "policy secret", "policy schema",
}  # fmt: skip
PRINT_NO_DATA = {"demo", "new", "init", "serve", "web", "worker"}  # they ask, or run until they are stopped
SHOW_A_PROJECT = [
    "agree", "cases", "cases --figures", "gold list", "history PROJECT 1", "overrides", "people", "policy explain",
    "policy history", "policy show", "policy thresholds", "signal list", "signal outcomes", "why PROJECT 1",
    "access PROJECT --person 7", "store unpark", "status",
]  # fmt: skip
LISTS = [
    "cases", "gold list", "history PROJECT 9", "overrides", "people", "policy history", "signal list",
    "signal list --waiting", "signal outcomes", "policy thresholds", "store unpark",
]  # fmt: skip


def commands() -> Iterator[tuple[str, Any]]:
    """Every command by its words."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        for part, inner in getattr(command, "commands", {"": command}).items():
            yield f"{name} {part}".strip(), inner


def arguments(command: Any) -> list[Any]:
    return [param for param in command.params if param.param_type_name == "argument"]


def words(command: str, project: str) -> list[str]:
    """The words of a command about a project; "" leaves the project out."""
    if "PROJECT" in command:
        return [project if word == "PROJECT" else word for word in command.split() if project or word != "PROJECT"]
    parts = command.split()
    flags = [word for word in parts if word.startswith("-")]
    return [*(word for word in parts if word not in flags), *filter(None, [project]), *flags]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data directory with a connected project, and one that was disconnected."""
    store = stores.fresh(tmp_path / "hitl.sqlite3")
    store.projects.save_project(ProjectRow("7", title="Spam mails", label_config=CONFIG, connected=True))
    store.projects.save_project(ProjectRow("8", title="Digits", label_config=CONFIG))
    store.append(task_events(task(1, project="7"), task(2, project="7")))
    store.append([annotation_event(5, "A", task=1, person=7, project="7")])
    store.close()
    return tmp_path


@pytest.fixture
def hitl(folder: Path, run_main: Hitl) -> Hitl:
    return partial(run_main, folder)


def test_project_is_the_first_argument_of_every_command_about_a_project():
    found = dict(commands())
    first = {name: next((param.name for param in arguments(command)), "") for name, command in found.items()}

    assert {name for name, argument in first.items() if argument != "project"} == OF_NO_PROJECT
    for name, command in found.items():
        if name not in OF_NO_PROJECT:
            project = arguments(command)[0]
            assert project.metavar == "PROJECT", name
            assert "number" in project.help, name
            assert "title" in project.help, name
        assert not any("--project" in param.opts for param in command.params), name


def test_json_is_a_flag_of_every_command_that_prints_data():
    flags = {
        name: [param.is_flag for param in command.params if "--json" in param.opts] for name, command in commands()
    }

    assert {name for name, flag in flags.items() if not flag} == PRINT_NO_DATA
    assert {name for name, flag in flags.items() if flag == [False]} == {"evaluate"}  # it names a file


def test_help_names_values_as_people_expect(hitl: Hitl):
    main_help = hitl("--help").stdout
    shown = {name: hitl(*name.split(), "--help").stdout for name, _ in commands()}

    assert "0 fine, 1 trouble found" in " ".join(main_help.split())
    assert "--install-completion" in main_help
    assert "Usage: hitl policy simulate [OPTIONS] [PROJECT] FILE" in shown["policy simulate"]
    assert "Usage: hitl gold ask [OPTIONS] PROJECT TASK..." in shown["gold ask"]
    for text in (main_help, *shown.values()):
        assert not {"<", "{", "}"} & set(text), text


def test_no_help_text_loses_its_brackets():
    texts = [text for _, command in commands() for text in (command.help, *(param.help for param in _params(command)))]

    for text in filter(None, texts):
        assert Text.from_markup(text).plain == text.replace("\\[", "[")


def _params(command: Any) -> list[Any]:
    return [param for param in command.params if hasattr(param, "help")]


@pytest.mark.parametrize("command", SHOW_A_PROJECT)
def test_a_project_is_named_by_its_number_or_title_or_is_the_only_connected_one(hitl: Hitl, command: str):
    by_number, by_title, alone = (hitl(*words(command, name)) for name in ("7", " spam  MAILS", ""))

    assert by_number.stdout == by_title.stdout
    assert by_number.returncode == by_title.returncode
    assert by_number.stdout.strip()
    if command != "status":  # without a project it shows all
        assert alone.stdout == by_number.stdout
    assert not (by_number.stderr + by_title.stderr + alone.stderr)


@pytest.mark.parametrize("command", LISTS)
def test_an_empty_list_says_that_it_is_empty(hitl: Hitl, command: str):
    done = hitl(*words(command, "Digits"))

    assert any(word in done.stdout.lower() for word in ("no ", "nothing", "nobody")), done
    assert done.returncode == 0


def test_an_unknown_title_is_answered_with_the_known_ones_and_the_nearest(hitl: Hitl):
    unknown, near = hitl("people", "Invoices"), hitl("people", "Spam mail")

    assert "project 'Invoices' is not known; known projects: 7 'Spam mails', 8 'Digits'." in unknown.stderr
    assert "Did you mean" not in unknown.stderr
    assert "Did you mean 7 'Spam mails'?" in near.stderr
    assert {unknown.returncode, near.returncode} == {2}


def test_a_name_of_several_projects_is_refused_with_their_numbers(store: Store):
    for find in (require_project, partial(find_project_of, project="", task=7)):
        with pytest.raises(NotConnected, match=r"no project is connected\."):
            find(store)
    for number in ("10", "11"):
        store.projects.save_project(ProjectRow(number, title="Cats & dogs", connected=True))

    with pytest.raises(NotConnected, match=r"2 projects are called 'cats & dogs': 10, 11\."):
        require_project(store, "cats & dogs")
    with pytest.raises(NotConnected, match=r"which project\? 2 are known: 10 'Cats & dogs', 11 'Cats & dogs'"):
        require_project(store)


def test_a_title_may_be_a_number_of_no_project(store: Store):
    store.projects.save_project(ProjectRow("3", title="2024"))
    store.projects.save_project(ProjectRow("4", title="3"))

    assert require_project(store, "2024").id == "3"
    assert require_project(store, "3").id == "3"


def test_a_title_may_be_a_number_before_its_project_is_connected_too(store: Store):
    class Listed(Client):
        def projects(self) -> Iterator[dict[str, object]]:
            yield from ({"id": 7, "title": "Cats"}, {"id": 9, "title": "007"}, {"id": 11, "title": "2024"})

    client = Listed("http://127.0.0.1:9", "x")

    assert [find_number(store, client, text) for text in ("7", "007", "2024", "cats")] == ["7", "9", "11", "7"]
    with pytest.raises(UnknownProject, match="projects in Label Studio: 7 'Cats', 9 '007', 11 '2024'") as refused:
        find_number(store, client, "12")
    assert "connect 12" not in refused.value.hint


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("people 7", 0),
        ("store verify", 0),
        ("status 7", 1),  # the web process is not running
        ("connect 7 --dry-run", 1),  # Label Studio is away
        ("people 9", 2),
        ("people 7 --jsn", 2),
        ("why", 2),
        ("no-such-command", 2),
        ("policy check /nowhere/hitl.toml", 2),
        ("backup /nowhere/x", 2),
    ],
)
def test_exit_codes(hitl: Hitl, command: str, code: int):
    done = hitl(
        *command.split(),
        LABEL_STUDIO_URL="http://127.0.0.1:9",
        LABEL_STUDIO_API_KEY="x",
        HITL_PUBLIC_URL="http://127.0.0.1:9",
        HITL_PORT="9",  # on the usual one, another service may run
    )

    assert done.returncode == code, done
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["policy schema", "people 7", "--help"])
def test_a_reader_who_ends_early_is_no_trouble(folder: Path, command: str):
    reading, writing = os.pipe()
    os.close(reading)
    env = {**os.environ, "HITL_DATA_DIR": str(folder)}
    run = [sys.executable, "-m", "feedback", *command.split()]
    done = subprocess.run(run, env=env, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writing)

    assert (done.returncode, done.stderr) == (141, "")


def test_rows_for_a_spreadsheet_go_to_standard_output(hitl: Hitl):
    assert hitl("overrides", "7", "--csv", "-").stdout.startswith("project,annotation,task")
    assert json.loads(hitl("overrides", "7", "--json").stdout)["rows"] == []


def test_status_is_shown_again_until_it_is_interrupted(hitl: Hitl, monkeypatch: pytest.MonkeyPatch):
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", wait)
    done = hitl("status", "7", "--watch")

    assert done.stdout.count("Project 7  Spam mails") == 3
    assert "Traceback" not in done.stderr


def test_open_prints_the_address_and_opens_it_in_the_browser(folder: Path, tmp_path: Path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/opened\n')
    browser.chmod(0o755)
    env = {**os.environ, "HITL_DATA_DIR": str(folder), "BROWSER": f"{browser} %s"}
    env |= {"LABEL_STUDIO_URL": "http://ls.internal:8080/", "LABEL_STUDIO_PUBLIC_URL": "https://ls.example/"}
    env |= {"HITL_PUBLIC_URL": "http://hitl.internal:9090/", "HITL_PAGES_URL": "https://hitl.example/"}
    tried = [["open", "7"], ["open", "--task", "1"], ["open", "digits", "--page"], ["open", "7", "--json"]]
    code = f"import sys; from feedback.cli import app\nfor words in {tried}: app(words, standalone_mode=False)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
    )

    addresses = [
        "https://ls.example/projects/7/data",
        "https://ls.example/projects/7/data?task=1",
        "https://hitl.example/projects/8",
    ]
    assert [word for word in done.stdout.split() if word.startswith("http")] == addresses, done.stderr
    assert "press Label All Tasks" in done.stdout
    assert '"address":"https://ls.example/projects/7/data"' in "".join(done.stdout.split())
    assert (tmp_path / "opened").read_text().split() == addresses


def test_the_shell_completes_projects(folder: Path):
    env = {**os.environ, "HITL_DATA_DIR": str(folder), "_HITL_COMPLETE": "complete_zsh"}
    env |= {"_TYPER_COMPLETE_ARGS": "hitl people "}
    done = subprocess.run(
        [sys.executable, "-m", "feedback"], env=env, capture_output=True, text=True, timeout=60, check=False
    )

    assert '"7":"Spam mails"' in done.stdout, done
