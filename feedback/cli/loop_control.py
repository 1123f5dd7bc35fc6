"""hitl turn, hitl sweep, hitl pause, hitl resume: run the loop now, or stop all its writes to Label Studio."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

import typer

from feedback.app.bootstrap import load_settings, opened_project, opened_store, run_turn
from feedback.cli.arguments import AsJson, Project
from feedback.cli.progress import report_progress
from feedback.cli.terminal import echo, print_found, print_json
from ml_backend.number_format import format_counted

Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the seconds of each stage of the turn.")]


def turn(project: Project, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Collect answers, train and judge a model, and write the queue, once; wait while a worker has the project."""
    settings = load_settings()
    with opened_store(settings) as store:
        done = asdict(run_turn(settings, store, project))
    if as_json:
        print_json(done)
        return
    echo(f"Project {done['project']}: the turn is done.")
    for name, value in done.items():
        for item in value if isinstance(value, tuple) else (value,):
            if name not in ("project", "at_s", "stages", "requests") and item:
                echo(f"  {name:<10} {item}")
    if verbose:
        for stage, seconds in done["stages"].items():
            echo(f"  {seconds:8.3f} s  {stage}")


def sweep(project: Project, as_json: AsJson = False) -> None:
    """Compare all tasks with Label Studio and collect what webhooks missed. An interrupted sweep continues."""
    from feedback.app.worker_process import run_project_sync

    settings = load_settings()
    with opened_project(project, settings) as (store, row):
        done = run_project_sync(
            settings,
            store,
            row.id,
            on_progress=lambda so_far: report_progress(f"{_tasks(so_far.tasks)} compared"),
        )
    tasks, missed = _tasks(done.tasks), format_counted(done.missed, "missed change", "missed changes")
    line = f"Project {row.id}: {tasks} compared, {missed} collected."
    print_found({"project": row.id, "tasks": done.tasks, "missed": done.missed}, [line], as_json=as_json)


def _tasks(count: int) -> str:
    return format_counted(count, "task", "tasks")


def pause(project: Project, as_json: AsJson = False) -> None:
    """Stop all writes to a project at once. Answers are still collected, and models still learn from them."""
    done = "is paused: nothing is written to Label Studio until `hitl resume`"
    _set_paused(project, done, paused=True, as_json=as_json)


def resume(project: Project, as_json: AsJson = False) -> None:
    """Allow writes to a paused project again. The next turn writes its queue."""
    _set_paused(project, "is resumed", paused=False, as_json=as_json)


def _set_paused(project: str, done: str, *, paused: bool, as_json: bool) -> None:
    with opened_project(project) as (store, row):
        store.projects.save_project(replace(row, paused=paused))
        store.jobs.request_job(row.id, "turn")
    print_found({"project": row.id, "paused": paused}, [f"Project {row.id} {done}."], as_json=as_json)
