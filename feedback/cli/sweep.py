"""hitl sweep: compare a whole project with Label Studio now."""

from __future__ import annotations

import typer

from feedback.cli.arguments import Project
from feedback.cli.terminal import screen


def sweep(project: Project) -> None:
    """Compare all tasks with Label Studio and collect what webhooks missed. An interrupted sweep continues."""
    from feedback.app.bootstrap import load_settings, opened_store
    from feedback.app.worker_process import run_project_sync

    settings = load_settings()
    with opened_store(settings) as store, screen(errors=True).status("sweeping") as line:
        done = run_project_sync(
            settings, store, project, on_progress=lambda so_far: line.update(f"{so_far.tasks} tasks compared")
        )
    typer.echo(f"Project {project}: {done.tasks} tasks compared, {done.missed} missed changes collected.")
