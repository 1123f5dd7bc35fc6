"""hitl sweep: compare a project with Label Studio, all of it, now."""

from __future__ import annotations

from typing import Annotated

import typer


def sweep(project: Annotated[str, typer.Argument(help="The project's number.")]) -> None:
    """Make the store equal to Label Studio, whatever webhooks lost; an interrupted sweep goes on where it was."""
    from rich.console import Console

    from feedback.wiring import opened, settings_from_environment
    from feedback.working import run_sweep

    settings = settings_from_environment()
    with opened(settings) as store, Console(stderr=True).status("sweeping") as line:
        done = run_sweep(settings, store, project, told=lambda so_far: line.update(f"{so_far.tasks} tasks compared"))
    typer.echo(f"Project {project}: {done.tasks} tasks compared, {done.missed} changes that nobody had told us.")
