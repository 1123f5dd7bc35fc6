"""hitl sweep: compare a project with Label Studio, all of it, now."""

from __future__ import annotations

import typer

from feedback.cli.arguments import Project
from feedback.cli.terminal import screen


def sweep(project: Project) -> None:
    """Make the store equal to Label Studio, whatever webhooks lost; an interrupted sweep goes on where it was."""
    from feedback.app.bootstrap import opened, settings_from_environment
    from feedback.app.worker import run_sweep

    settings = settings_from_environment()
    with opened(settings) as store, screen(errors=True).status("sweeping") as line:
        done = run_sweep(settings, store, project, told=lambda so_far: line.update(f"{so_far.tasks} tasks compared"))
    typer.echo(f"Project {project}: {done.tasks} tasks compared, {done.missed} changes that nobody had told us.")
