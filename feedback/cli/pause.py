"""hitl pause / resume: stop all writes to Label Studio at once, and go on."""

from __future__ import annotations

import typer

from feedback.cli.arguments import Project


def pause(project: Project) -> None:
    """Stop every write to a project at once; what people answer is still collected and learned from."""
    _set(project, paused=True)
    typer.echo(f"Project {project} is paused: nothing is written to Label Studio until `hitl resume {project}`.")


def resume(project: Project) -> None:
    """Go on writing to a paused project; its queue is renewed at the next turn."""
    _set(project, paused=False)
    typer.echo(f"Project {project} goes on.")


def _set(project: str, *, paused: bool) -> None:
    from dataclasses import replace

    from feedback.app.bootstrap import known_project, opened, settings_from_environment

    with opened(settings_from_environment()) as store:
        store.projects.save_project(replace(known_project(store, project), paused=paused))
        store.jobs.request_job(project, "turn")
