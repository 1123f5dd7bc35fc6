"""hitl pause, hitl resume: stop all writes to Label Studio at once, and allow them again."""

from __future__ import annotations

import typer

from feedback.cli.arguments import Project


def pause(project: Project) -> None:
    """Stop all writes to a project at once. Answers are still collected, and models still learn from them."""
    _set_paused(project, paused=True)
    typer.echo(f"Project {project} is paused: nothing is written to Label Studio until `hitl resume {project}`.")


def resume(project: Project) -> None:
    """Allow writes to a paused project again. The next turn writes its queue."""
    _set_paused(project, paused=False)
    typer.echo(f"Project {project} is resumed.")


def _set_paused(project: str, *, paused: bool) -> None:
    from dataclasses import replace

    from feedback.app.bootstrap import opened_project

    with opened_project(project) as (store, row):
        store.projects.save_project(replace(row, paused=paused))
        store.jobs.request_job(project, "turn")
