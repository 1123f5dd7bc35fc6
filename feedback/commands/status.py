"""hitl status: where the loop stands."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer


def status(
    project: Annotated[str, typer.Argument(help="The project's number; without, all projects.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show each project's model, queue, agreement, verdicts and whatever is wrong."""
    from feedback.errors import StoreError
    from feedback.reports.status import project_status, service_status
    from feedback.reports.trouble import troubles
    from feedback.wiring import known_project, opened, settings_from_environment

    settings = settings_from_environment()
    found: dict[str, Any] = {"service": {}, "projects": []}
    try:
        with opened(settings, wait_s=2.0) as store:
            chosen = [known_project(store, project)] if project else store.projects()
            found["projects"] = [project_status(store, one) for one in chosen]
            found["service"] = service_status(store) | {"trouble": troubles(settings, store)}
    except StoreError as error:  # the one thing that a status must never be silent about
        found["service"]["trouble"] = [f"the store: {error}", *troubles(settings, None)]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    _print(found)


def _print(found: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not found["projects"]:
        console.print("No project yet. Connect one: hitl connect PROJECT")
    for one in found["projects"]:
        table = Table("", "", title=f"Project {one['project']}  {one['title']}", show_header=False)
        for name, value in one.items():
            if name not in ("project", "title") and value not in (None, "", [], {}):
                table.add_row(name.replace("_", " "), _text(value))
        console.print(table)
    for name, value in found["service"].items():
        console.print(f"{name.replace('_', ' ')}: {_text(value)}", highlight=False)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_text(item)}" for name, item in value.items() if item is not None)
    if isinstance(value, list):
        return "\n".join(_text(item) for item in value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)
