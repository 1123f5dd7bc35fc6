"""The run of the demo: make a project, connect it, let three simulated people annotate, and show what the loop does."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from feedback.app.bootstrap import opened_store, require_project
from feedback.demo import live_view
from feedback.demo.environment import running_service, settings_environ
from feedback.demo.simulated_annotators import Annotator
from feedback.project.connect import connect
from feedback.recipes import ProjectRecipe
from feedback.reports.project_status import project_status
from feedback.settings import read_settings
from feedback.store import Store
from ml_backend.label_config import read_label_config
from ml_backend.labelstudio.accounts import sign_up
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.local_server import LocalLabelStudio

_SKILLS = {"Ada": 0.98, "Ben": 0.95, "Cleo": 0.88}  # a careful, a usual and a hasty annotator
_LAST_TURN_S = 20.0  # after the last answer, for the loop to learn from it
_LOOK_S = 0.5


def run_demo(
    recipe: ProjectRecipe, *, answers: int, seconds: float, keep: bool, data_dir: Path | None, console: Console
) -> None:
    """Run the demo to its end; with `keep`, leave everything running until Ctrl-C."""
    with tempfile.TemporaryDirectory(prefix="hitl-demo-") as made:
        home = data_dir or Path(made)
        home.mkdir(parents=True, exist_ok=True)
        for note in recipe.notes:
            console.print(f"Note: {note}.")
        console.print("Starting a real Label Studio (half a minute) ...")
        with (
            LocalLabelStudio(home / "label-studio") as studio,
            running_service(home, label_studio_url=studio.url, api_key=studio.admin.token) as environ,
        ):
            settings = read_settings(settings_environ(environ))
            with opened_store(settings) as store, Client(studio.url, studio.admin.token) as client:
                project = _make_project(client, recipe)
                changes = connect(settings, store, client, project, policy=recipe.policy, now_s=time.time())
                console.print(f"Project {project}: {len(recipe.tasks)} tasks; connected with {len(changes)} changes.")
                _work(studio, store, client, project, recipe, answers=answers, seconds=seconds, console=console)
                _close(studio, store, project, console)
                if keep:
                    console.print(f"What the loop knows: {settings.url}/projects/{project}")
                    _wait_for_reader(console)
                else:
                    console.print("It all stops now; `hitl demo --keep` leaves it running, to annotate in the browser.")


def _make_project(client: Client, recipe: ProjectRecipe) -> str:
    made = client.create_project(title=recipe.title, label_config=recipe.label_config)
    project = str(made["id"])
    client.import_tasks(project, [{"data": dict(data)} for data in recipe.tasks])
    return project


def _work(
    studio: LocalLabelStudio,
    store: Store,
    client: Client,
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
        done = sum(person.tally.answers for person in people)
        return done >= answers or time.monotonic() - started > seconds

    control = read_label_config(recipe.label_config).control(recipe.control)
    truth = recipe.answers()
    for number, (name, skill) in enumerate(_SKILLS.items()):
        account = sign_up(studio.url, client.invitation(), f"{name.lower()}.{project}@example.com")
        own = Client(studio.url, account.token)
        people.append(Annotator(own, project, control, truth, name=name, skill=skill, seed=number, stop=is_enough))
    for person in people:
        person.start()
    with Live(console=console, refresh_per_second=2, transient=False) as screen:
        quiet_since = 0.0
        while True:
            now = time.monotonic()
            status = project_status(store, require_project(store, project))
            screen.update(
                live_view.render_progress(status, people, goal=answers, elapsed_s=now - started, url=studio.url)
            )
            if not any(person.is_alive() for person in people):
                quiet_since = quiet_since or now
                if status["behind"] == 0 or now - quiet_since > _LAST_TURN_S:
                    break
            time.sleep(_LOOK_S)
    for person in people:
        if person.tally.errors:
            console.print(
                f"{person.name}: {len(person.tally.errors)} requests failed, the last: {person.tally.errors[-1]}"
            )


def _close(studio: LocalLabelStudio, store: Store, project: str, console: Console) -> None:
    status: dict[str, Any] = project_status(store, require_project(store, project))
    verdicts = [record.body for record in store.records.list_records(project, "verdict")]
    console.print(live_view.render_verdicts(sorted(verdicts, key=lambda verdict: verdict["at_s"]), status))
    console.print(f"Log in: {studio.url}/projects/{project}/   {studio.email} / {studio.password}", soft_wrap=True)


def _wait_for_reader(console: Console) -> None:
    console.print("Everything keeps running: annotate in the browser, watch the queue follow you. Ctrl-C ends it.")
    try:
        while True:
            time.sleep(1.0)
    except KeyboardInterrupt:
        console.print("Stopping.")
