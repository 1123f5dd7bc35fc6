"""hitl status: where the loop stands, and whatever is wrong."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from feedback.cli.arguments import AsJson


def status(
    project: Annotated[
        str, typer.Argument(metavar="PROJECT", help="The project's number; without, every project.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show each project's model, queue, agreement, verdicts, and whatever is wrong; exit status 1 without a store."""
    from feedback.app.bootstrap import known_project, opened, settings_from_environment
    from feedback.errors import StoreError
    from feedback.reports.health import troubles
    from feedback.reports.project_status import project_status, service_status

    settings = settings_from_environment()
    found: dict[str, Any] = {"service": {}, "projects": []}
    lost = False
    try:
        with opened(settings, wait_s=2.0) as store:
            chosen = [known_project(store, project)] if project else store.projects.list_projects()
            found["projects"] = [project_status(store, one) for one in chosen]
            found["service"] = service_status(store) | {"trouble": troubles(settings, store)}
    except StoreError as error:  # the one thing that a status must never be silent about
        lost = True
        found["service"]["trouble"] = [f"the store: {error} {error.hint}".strip(), *troubles(settings, None)]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        _print(found, lost=lost)
    if lost:
        raise SystemExit(1)


def _print(found: dict[str, Any], *, lost: bool) -> None:
    from feedback.reports.project_status import status_lines

    if not found["projects"] and not lost:
        typer.echo("No project yet. Connect one: hitl connect PROJECT\n")
    for one in found["projects"]:
        typer.secho(f"Project {one['project']}  {one['title']}", bold=True)
        for name, sentence in status_lines(one):
            typer.echo(f"  {name:<13} {sentence}")
        typer.echo()
    service = found["service"]
    if not lost:
        size = f"{service['store_bytes'] / (1 << 20):,.1f} MiB"
        typer.echo(f"Store: {service['events']:,} events, {service['models']:,} models, {size}.")
    trouble = service["trouble"]
    typer.echo("Trouble: none." if not trouble else "Trouble:")
    for one in trouble:
        typer.secho(f"  • {one}", fg=typer.colors.YELLOW)
