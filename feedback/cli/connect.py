"""hitl connect / disconnect: put the loop around a Label Studio project, or take it away without a trace."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from feedback.cli.arguments import Project


def connect(
    project: Project,
    policy: Annotated[Path | None, typer.Option(help="A hitl.toml; default: ./hitl.toml where it exists.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List every change, make none.")] = False,
) -> None:
    """Connect a project: webhook, ML backend, queue order. Safe to repeat."""
    from feedback.app.bootstrap import client_of, opened, settings_from_environment
    from feedback.policy.loading import read_policy_file
    from feedback.project import connect
    from feedback.store import ProjectRow

    settings = settings_from_environment()
    path = policy or (Path("hitl.toml") if Path("hitl.toml").exists() else None)
    wanted = read_policy_file(path) if path else None
    with opened(settings) as store, client_of(settings) as client:
        changes = connect.connect(settings, store, client, project, policy=wanted, dry_run=dry_run, now_s=time.time())
        active = wanted or connect.policy_of(store.projects.get_project(project) or ProjectRow(project))
        describe_learning = connect.describe_learning(str(client.project(project)["label_config"]), active)
    if not changes:
        typer.echo(f"Project {project}: nothing to change, it is connected already.")
        return
    typer.echo(f"Project {project}: {'would change; nothing is changed yet' if dry_run else 'changed'}")
    for change in changes:
        typer.echo(f"  • {change}")
    typer.echo("The loop")
    for line in describe_learning:
        typer.echo(f"  • {line}")
    if not dry_run:
        typer.echo(f"People annotate as before. `hitl status {project}` shows the loop; {settings.url} has its pages.")


def disconnect(project: Project) -> None:
    """Restore a project exactly as it was before `hitl connect`."""
    from feedback.app.bootstrap import client_of, opened, settings_from_environment
    from feedback.project import connect

    settings = settings_from_environment()
    with opened(settings) as store, client_of(settings) as client:
        notes = connect.disconnect(store, client, project)
    typer.echo(f"Project {project} is as it was before it was connected; what people answered stays in the store.")
    for note in notes:
        typer.echo(f"  but: {note}")
