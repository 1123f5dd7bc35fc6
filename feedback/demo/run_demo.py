"""The demo on a real Label Studio: make and connect a project, let three simulated people annotate, show the loop."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from feedback.app.bootstrap import opened_store
from feedback.app.project_names import require_project
from feedback.demo.simulated_annotators import Annotator
from feedback.errors import ServiceError
from feedback.project.connect import connect
from feedback.recipes import ProjectRecipe
from feedback.reports.figures import share_text
from feedback.reports.project_status import project_status, verdict_json
from feedback.reports.status_text import status_lines
from feedback.settings import read_settings
from feedback.store import Store
from ml_backend.child_processes import start_process, stop_process
from ml_backend.label_config import read_label_config
from ml_backend.labelstudio.accounts import Account, sign_up
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.local_server import LocalLabelStudio, describe_log_end, free_port, is_healthy
from ml_backend.number_format import format_count, format_percent

_SKILLS = {"Ada": 0.98, "Ben": 0.95, "Cleo": 0.88}  # a careful, a usual and a hasty annotator
_LAST_TURN_S = 20.0  # after the last answer, for the loop to learn from it
_LOOK_S = 0.5
_START_S = 60.0  # of `hitl serve`
_STOP_S = 30.0


def run_demo(
    recipe: ProjectRecipe,
    *,
    answers: int,
    seconds: float,
    keep: bool,
    data_dir: Path | None,
    ports: tuple[int | None, int | None] = (None, None),
    console: Console,
) -> None:
    """Run the demo to its end; with `keep`, leave everything running until Ctrl-C.

    `ports` are those of the service and of Label Studio; None is a free one.
    """
    with tempfile.TemporaryDirectory(prefix="hitl-demo-") as made:
        home = data_dir or Path(made)
        home.mkdir(parents=True, exist_ok=True)
        for note in recipe.notes:
            console.print(f"Note: {note}.")
        console.print("Starting a real Label Studio (half a minute) ...")
        with (
            LocalLabelStudio(home / "label-studio", port=ports[1]) as studio,
            running_service(
                home, label_studio_url=studio.url, api_key=studio.admin.token, port=ports[0]
            ) as service_settings,
        ):
            settings = read_settings(service_settings)
            with opened_store(settings) as store, Client(studio.url, studio.admin.token) as client:
                project = _make_project(client, recipe)
                changes = connect(settings, store, client, project, policy=recipe.policy, now_s=time.time())
                console.print(f"Project {project}: {len(recipe.tasks)} tasks; connected with {len(changes)} changes.")
                people = _sign_up(studio, client, project)
                _work(people, studio, store, project, recipe, answers=answers, seconds=seconds, console=console)
                _close(people, studio, store, project, console)
                if keep:
                    console.print(f"What the loop knows: {settings.url}/projects/{project}")
                    _wait_for_reader(console)
                else:
                    console.print("It all stops now; `hitl demo --keep` leaves it running, to annotate in the browser.")


@contextmanager
def running_service(
    data_dir: Path, *, label_studio_url: str, api_key: str, port: int | None = None
) -> Iterator[dict[str, str]]:
    """Run `hitl serve` on loopback while the block runs; yield its settings. ServiceError if it does not answer."""
    port = port or free_port()
    settings = {
        "HITL_DATA_DIR": str(data_dir / "hitl"),
        "HITL_PORT": str(port),
        "HITL_TICK_S": "0.5",
        "LABEL_STUDIO_URL": label_studio_url,
        "LABEL_STUDIO_API_KEY": api_key,
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HITL_", "LABEL_STUDIO_"))}
    environ = inherited | settings
    log = data_dir / "hitl.log"
    with log.open("ab") as out:
        command = [sys.executable, "-m", "feedback", "serve"]
        # in a folder without the .env of where the demo was started
        process = start_process(command, env=environ, output=out, folder=data_dir)
        try:
            if not is_healthy(process, f"http://127.0.0.1:{port}", timeout_s=_START_S):
                raise ServiceError(f"hitl serve did not come up. {describe_log_end(log)}")
            yield settings
        finally:
            stop_process(process, timeout_s=_STOP_S)


def _make_project(client: Client, recipe: ProjectRecipe) -> str:
    made = client.create_project(title=recipe.title, label_config=recipe.label_config)
    project = str(made["id"])
    client.import_tasks(project, [{"data": dict(data)} for data in recipe.tasks])
    return project


def _sign_up(studio: LocalLabelStudio, client: Client, project: str) -> dict[str, Account]:
    """Return an account of each annotator, by name."""
    emails = {name: f"{name.lower()}.{project}@example.com" for name in _SKILLS}
    return {name: sign_up(studio.url, client.invitation(), email) for name, email in emails.items()}


def _work(
    accounts: Mapping[str, Account],
    studio: LocalLabelStudio,
    store: Store,
    project: str,
    recipe: ProjectRecipe,
    *,
    answers: int,
    seconds: float,
    console: Console,
) -> None:
    people: list[Annotator] = []
    started = time.monotonic()

    def is_enough() -> bool:
        done = sum(person.answers for person in people)
        return done >= answers or time.monotonic() - started > seconds

    control = read_label_config(recipe.label_config).control(recipe.control)
    truth = recipe.answers()
    for number, (name, skill) in enumerate(_SKILLS.items()):
        own = Client(studio.url, accounts[name].token)
        people.append(Annotator(own, project, control, truth, name=name, skill=skill, seed=number, stop=is_enough))
    for person in people:
        person.start()
    with Live(console=console, refresh_per_second=2, transient=False) as screen:
        quiet_since = 0.0
        while True:
            now = time.monotonic()
            status = project_status(store, require_project(store, project))
            screen.update(render_progress(status, people, goal=answers, elapsed_s=now - started, url=studio.url))
            if not any(person.is_alive() for person in people):
                quiet_since = quiet_since or now
                if status["behind"] == 0 or now - quiet_since > _LAST_TURN_S:
                    break
            time.sleep(_LOOK_S)
    for person in people:
        if person.errors:
            console.print(f"{person.name}: {len(person.errors)} requests failed, the last: {person.errors[-1]}")


def _close(
    people: Mapping[str, Account], studio: LocalLabelStudio, store: Store, project: str, console: Console
) -> None:
    status: dict[str, Any] = project_status(store, require_project(store, project))
    verdicts = [verdict_json(record) for record in store.records.list_records(project, "verdict")]
    console.print(render_verdicts(sorted(verdicts, key=lambda verdict: verdict["at_s"]), status))
    console.print(f"Log in: {studio.url}/projects/{project}/", soft_wrap=True)
    logins = {"administrator": (studio.email, studio.password)}
    logins |= {name: (account.email, account.password) for name, account in people.items()}
    for name, (email, password) in logins.items():
        console.print(f"  {name:<13}  {email} / {password}", soft_wrap=True)


def _wait_for_reader(console: Console) -> None:
    console.print("Everything keeps running: annotate in the browser, watch the queue follow you. Ctrl-C ends it.")
    try:
        while True:
            time.sleep(1.0)
    except KeyboardInterrupt:
        console.print("Stopping.")


def render_progress(
    status: Mapping[str, Any], people: Sequence[Annotator], *, goal: int, elapsed_s: float, url: str
) -> Group:
    """Return the live table: answers, model, accuracy, agreement and queue as they are now."""
    done = sum(person.answers for person in people)
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="dim")
    table.add_row("answers", f"{done} of {goal}")
    for person in people:
        table.add_row(f"  {person.name}", f"{person.answers} (skill {format_percent(person.skill)})")
    for name, sentence in status_lines(status):
        table.add_row(name, Text(sentence))
    title = Text(f"Label Studio {url}   {elapsed_s:.0f} s", style="bold")
    return Group(title, ProgressBar(total=goal, completed=done, width=60), table)


def render_verdicts(verdicts: Sequence[Mapping[str, Any]], status: Mapping[str, Any]) -> Table:
    """Return a table with one row per challenger: its figures, the verdict and the reason."""
    table = Table(title="Every challenger and its verdict", show_lines=False)
    for column in ("model", "gate", "judge rows", "accuracy", "before", "verdict", "reason"):
        table.add_column(column, overflow="fold")
    for verdict in verdicts:
        table.add_row(
            verdict["challenger"],
            verdict["gate"],
            format_count(verdict["rows"]),
            share_text(verdict["accuracy"]),
            share_text(verdict["champion_accuracy"]),
            Text("promoted", style="green") if verdict["promote"] else Text("kept out", style="yellow"),
            verdict["reason"],
        )
    lines = dict(status_lines(status))
    if not verdicts:
        table.add_row(*[""] * 6, Text(lines["model"]))
    table.caption = f"accuracy: {lines['accuracy']}. Agreement: {lines['agreement']}"
    return table
