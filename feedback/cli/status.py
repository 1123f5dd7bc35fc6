"""hitl status: the state of each project, and problems of the service."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from feedback.cli.arguments import AsJson
from feedback.cli.terminal import print_json


def status(
    project: Annotated[
        str, typer.Argument(metavar="PROJECT", help="The number of a project. Default: all projects.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Show the model, queue, agreement and problems of each project. Exit status 1 if the store cannot be read."""
    from feedback.app.bootstrap import load_settings, opened_store, require_project
    from feedback.errors import StoreError
    from feedback.reports.health import list_problems
    from feedback.reports.project_status import project_status, service_status

    settings = load_settings()
    found: dict[str, Any] = {"service": {}, "projects": []}
    lost = False
    try:
        with opened_store(settings, wait_s=2.0) as store:
            chosen = [require_project(store, project)] if project else store.projects.list_projects()
            found["projects"] = [project_status(store, item) for item in chosen]
            found["service"] = service_status(store) | {"trouble": list_problems(settings, store)}
    except StoreError as error:
        lost = True
        found["service"]["trouble"] = [f"the store: {error} {error.hint}".strip(), *list_problems(settings, None)]
    if as_json:
        print_json(found)
    else:
        _print(found, lost=lost)
    if lost:
        raise SystemExit(1)


def _print(found: dict[str, Any], *, lost: bool) -> None:
    from feedback.reports.project_status import status_lines

    if not found["projects"] and not lost:
        typer.echo("No project yet. Connect one: hitl connect PROJECT\n")
    for item in found["projects"]:
        typer.secho(f"Project {item['project']}  {item['title']}", bold=True)
        for name, sentence in status_lines(item):
            typer.echo(f"  {name:<13} {sentence}")
        typer.echo()
    service = found["service"]
    if not lost:
        size = f"{service['store_bytes'] / (1 << 20):,.1f} MiB"
        typer.echo(f"Store: {service['events']:,} events, {service['models']:,} models, {size}.")
    trouble = service["trouble"]
    typer.echo("Trouble: none." if not trouble else "Trouble:")
    for item in trouble:
        typer.secho(f"  • {item}", fg=typer.colors.YELLOW)
