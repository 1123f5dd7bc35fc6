"""hitl connect / disconnect: put the loop around a Label Studio project, or take it away without a trace."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

Project = Annotated[str, typer.Argument(help="The project's number in Label Studio's address, such as 12.")]


def connect(
    project: Project,
    policy: Annotated[Path | None, typer.Option(help="A hitl.toml; default: ./hitl.toml where it exists.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List every change, make none.")] = False,
) -> None:
    """Connect a project: webhook, ML backend, queue order. Safe to repeat."""
    from rich.console import Console

    from feedback import connecting
    from feedback.policy.schema import read_policy_file
    from feedback.wiring import client_of, opened, settings_from_environment

    settings = settings_from_environment()
    path = policy or (Path("hitl.toml") if Path("hitl.toml").exists() else None)
    wanted = read_policy_file(path) if path else None
    with opened(settings) as store, client_of(settings) as client:
        changes = connecting.connect(
            settings, store, client, project, policy=wanted, dry_run=dry_run, now_s=time.time()
        )
    console = Console()
    console.print(f"Project {project}: {'would change' if dry_run else 'changed'}")
    for change in changes:
        console.print(f"  • {change}")
    if not changes:
        console.print("  nothing; it is connected already")


def disconnect(project: Project) -> None:
    """Restore a project exactly as it was before `hitl connect`."""
    from rich.console import Console

    from feedback import connecting
    from feedback.wiring import client_of, opened, settings_from_environment

    settings = settings_from_environment()
    with opened(settings) as store, client_of(settings) as client:
        notes = connecting.disconnect(store, client, project)
    console = Console()
    console.print(f"Project {project} is as it was before it was connected; what people answered stays in the store.")
    for note in notes:
        console.print(f"  but: {note}")
