"""The demo on a real Label Studio: make and connect a project, let three simulated people annotate, show the loop."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from feedback.app.bootstrap import opened_store
from feedback.app.project_names import require_project
from feedback.demo.promises import KeptPromise, check_known, check_promises
from feedback.demo.simulated_annotators import Annotator, Reviewer
from feedback.errors import ServiceError
from feedback.project.connect import connect
from feedback.recipes.create_project import CreatedProject, create_project
from feedback.recipes.recipe import Recipe
from feedback.recipes.recipe_tasks import RecipeTasks
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
_REVIEWER, _REVIEWER_SKILL = "Dora", 0.99  # one for each tier after the first
_REVIEW_S = 30.0  # that reviewers work on after the annotators
_LAST_TURN_S = 20.0  # after the last answer, for the loop to learn from it
_LOOK_S = 0.5
_START_S = 60.0  # of `hitl serve`
_STOP_S = 30.0


def run_demo(
    recipe: Recipe,
    load_tasks: Callable[[Path], RecipeTasks],
    *,
    answers: int,
    seconds: float,
    keep: bool,
    data_dir: Path | None,
    ports: tuple[int | None, int | None] = (None, None),
    console: Console,
) -> bool:
    """Run the demo to its end; with `keep`, leave everything running until Ctrl-C. Return whether promises hold.

    `load_tasks` makes the tasks of the recipe with a folder for their files; `ports` are those of the service and of
    Label Studio; None is a free one.
    """
    check_known(recipe)
    with tempfile.TemporaryDirectory(prefix="hitl-demo-") as made:
        home = data_dir or Path(made)
        (home / "recipe").mkdir(parents=True, exist_ok=True)
        tasks = load_tasks(home / "recipe")
        for note in tasks.notes:
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
                created = create_project(client, tasks, title=tasks.title, name=recipe.name)
                project = created.id
                changes = connect(settings, store, client, project, policy=recipe.policy, now_s=time.time())
                console.print(f"Project {project}: {len(tasks.tasks)} tasks; connected with {len(changes)} changes.")
                accounts = _sign_up(studio, client, project, recipe)
                people = _hire(accounts, studio, store, created, recipe, tasks)
                _work(people, studio, store, project, answers=answers, seconds=seconds, console=console)
                _close(accounts, studio, store, project, console)
                promises = check_promises(store, require_project(store, project), recipe.description.promises)
                console.print(render_promises(recipe.name, promises))
                if keep:
                    console.print(f"What the loop knows: {settings.url}/projects/{project}")
                    _wait_for_reader(console)
                else:
                    console.print("It all stops now; `hitl demo --keep` leaves it running, to annotate in the browser.")
                return all(promise.is_kept for promise in promises)


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


def _list_reviewers(recipe: Recipe) -> dict[str, str]:
    """Return the tier of each reviewer by name."""
    tiers = [tier for tier in recipe.policy.tiers if tier != recipe.policy.first_tier]
    return {_REVIEWER if len(tiers) == 1 else f"{_REVIEWER}-{tier}": tier for tier in tiers}


def _sign_up(studio: LocalLabelStudio, client: Client, project: str, recipe: Recipe) -> dict[str, Account]:
    """Return an account of each person, by name."""
    emails = {name: f"{name.lower()}.{project}@example.com" for name in (*_SKILLS, *_list_reviewers(recipe))}
    return {name: sign_up(studio.url, client.invitation(), email) for name, email in emails.items()}


def _hire(
    accounts: Mapping[str, Account],
    studio: LocalLabelStudio,
    store: Store,
    created: CreatedProject,
    recipe: Recipe,
    tasks: RecipeTasks,
) -> list[Annotator]:
    """Return the annotators, and a reviewer for each tier after the first."""
    control = read_label_config(tasks.label_config).control(tasks.control)
    people: list[Annotator] = []
    for name, account in accounts.items():
        own, tier, seed = Client(studio.url, account.token), _list_reviewers(recipe).get(name), len(people)
        if tier is None:
            skill = _SKILLS[name]
            people.append(Annotator(own, lambda: created.id, control, created.truth, name=name, skill=skill, seed=seed))
            continue
        find, skill = partial(_find_review_project, store, created.id, tier), _REVIEWER_SKILL
        reviewer = Reviewer(own, find, control, created.truth, name=name, skill=skill, seed=seed)
        reviewer.reason = next(iter(recipe.policy.reasons))
        people.append(reviewer)
    return people


def _find_review_project(store: Store, project: str, tier: str) -> str | None:
    row = store.review_projects.list_review_projects(project).get(tier)
    return row.id if row else None


def _work(
    people: Sequence[Annotator],
    studio: LocalLabelStudio,
    store: Store,
    project: str,
    *,
    answers: int,
    seconds: float,
    console: Console,
) -> None:
    """Let people work until the annotators have given so many answers, or for so many seconds."""
    started = time.monotonic()

    def is_enough(extra_s: float) -> bool:
        """Return whether the annotators are done, and reviewers have had `extra_s` for the cases that came of it."""
        now = time.monotonic()
        if not ended and (_count_answers(people) >= answers or now - started > seconds):
            ended.append(now)
        return bool(ended) and now - ended[0] >= extra_s

    ended: list[float] = []  # when the annotators were done
    for person in people:
        person.stop_asked = partial(is_enough, _REVIEW_S if isinstance(person, Reviewer) else 0.0)
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


def _count_answers(people: Sequence[Annotator]) -> int:
    """Return the answers in the project itself, without those of reviewers."""
    return sum(person.answers for person in people if not isinstance(person, Reviewer))


def render_promises(name: str, promises: Sequence[KeptPromise]) -> Text:
    """Return a line for each promise of a recipe: kept or broken, with its figure."""
    lines = Text(f"What the recipe {name} promises", style="bold")
    for promise in promises:
        word, style = ("kept", "green") if promise.is_kept else ("BROKEN", "red")
        lines.append(f"\n  {word:<6} ", style=style)
        lines.append(str(promise), style="not bold")
    return lines


def render_progress(
    status: Mapping[str, Any], people: Sequence[Annotator], *, goal: int, elapsed_s: float, url: str
) -> Group:
    """Return the live table: answers, model, accuracy, agreement and queue as they are now."""
    done = _count_answers(people)
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
