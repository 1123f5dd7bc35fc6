"""hitl turn, hitl sweep, hitl pause, hitl resume: run the loop now, or stop all its writes to Label Studio."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

import typer

from feedback.app.bootstrap import load_settings, opened_project, opened_store, run_turn
from feedback.cli.terminal import AsJson, Project, echo, print_json, screen

Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the seconds of each stage of the turn.")]


def turn(project: Project, as_json: AsJson = False, verbose: Verbose = False) -> None:
    """Collect answers, train and judge a model, and write the queue, once; wait while a worker has the project."""
    settings = load_settings()
    with opened_store(settings) as store:
        done = asdict(run_turn(settings, store, project))
    if as_json:
        print_json(done)
        return
    echo(f"Project {project}: the turn is done.")
    for name, value in done.items():
        for item in value if isinstance(value, tuple) else (value,):
            if name not in ("project", "at_s", "stages", "requests") and item not in ("", 0):
                echo(f"  {name:<10} {item}")
    if verbose:
        for stage, seconds in done["stages"].items():
            echo(f"  {seconds:8.3f} s  {stage}")


def sweep(project: Project) -> None:
    """Compare all tasks with Label Studio and collect what webhooks missed. An interrupted sweep continues."""
    from feedback.app.worker_process import run_project_sync

    settings = load_settings()
    with opened_store(settings) as store, screen(errors=True).status("sweeping") as line:
        done = run_project_sync(
            settings, store, project, on_progress=lambda so_far: line.update(f"{so_far.tasks} tasks compared")
        )
    echo(f"Project {project}: {done.tasks} tasks compared, {done.missed} missed changes collected.")


def pause(project: Project) -> None:
    """Stop all writes to a project at once. Answers are still collected, and models still learn from them."""
    _set_paused(project, paused=True)
    echo(f"Project {project} is paused: nothing is written to Label Studio until `hitl resume {project}`.")


def resume(project: Project) -> None:
    """Allow writes to a paused project again. The next turn writes its queue."""
    _set_paused(project, paused=False)
    echo(f"Project {project} is resumed.")


def _set_paused(project: str, *, paused: bool) -> None:
    with opened_project(project) as (store, row):
        store.projects.save_project(replace(row, paused=paused))
        store.jobs.request_job(project, "turn")
