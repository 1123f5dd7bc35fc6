"""hitl connect, hitl disconnect: connect a Label Studio project, or restore it as it was before."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from feedback.app.bootstrap import load_settings, make_client, opened_store
from feedback.cli.terminal import Project, echo


def connect(
    project: Project,
    policy: Annotated[Path | None, typer.Option(help="A policy file. Default: ./hitl.toml, if it exists.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List all changes, make none.")] = False,
) -> None:
    """Connect a project: set its webhook, ML backend and task order. Safe to repeat."""
    from feedback.policy.hitl_toml import read_policy_file
    from feedback.project import connect
    from feedback.store import ProjectRow

    settings = load_settings()
    path = policy or (Path("hitl.toml") if Path("hitl.toml").exists() else None)
    wanted = read_policy_file(path) if path else None
    with opened_store(settings) as store, make_client(settings) as client:
        changes = connect.connect(settings, store, client, project, policy=wanted, dry_run=dry_run, now_s=time.time())
        active = wanted or (store.projects.get_project(project) or ProjectRow(project)).policy
        describe_learning = connect.describe_learning(str(client.project(project)["label_config"]), active)
    if not changes:
        echo(f"Project {project}: nothing to change, it is already connected.")
        return
    echo(f"Project {project}: {'these changes would be made' if dry_run else 'changed'}")
    for change in changes:
        echo(f"  • {change}")
    echo("The loop")
    for line in describe_learning:
        echo(f"  • {line}")
    if not dry_run:
        echo(f"People annotate as before. See `hitl status {project}` and the pages at {settings.url}.")


def disconnect(project: Project) -> None:
    """Restore a project as it was before `hitl connect`."""
    from feedback.project import connect

    settings = load_settings()
    with opened_store(settings) as store, make_client(settings) as client:
        notes = connect.disconnect(store, client, project)
    echo(f"Project {project} is as it was before it was connected. The answers stay in the store.")
    for note in notes:
        echo(f"  but: {note}")
