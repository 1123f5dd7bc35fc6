"""hitl status: the state of each project, and problems of the service."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feedback.app.bootstrap import list_names, load_settings, opened_store
from feedback.app.project_names import require_project
from feedback.cli.arguments import AsJson, project_argument
from feedback.cli.terminal import echo, print_json, screen
from feedback.errors import StoreError

_WATCH_S = 2.0
_COLOURS = {"error": typer.colors.RED, "warning": typer.colors.YELLOW}

if TYPE_CHECKING:
    from feedback.settings import Settings


def status(
    project: Annotated[str, project_argument("Default: all projects.")],
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it again every 2 seconds, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the model, queue, agreement and problems of each project. Exit code 1 if there is trouble."""
    settings = load_settings()
    trouble = False
    with suppress(KeyboardInterrupt):
        while True:
            found, names, lost = _read_status(settings, project)
            trouble = bool(found["service"]["trouble"])
            if watch:
                screen().clear()  # a pipe is not cleared
            if as_json:
                print_json(found)
            else:
                _print_status(found, names, lost=lost)
            if not watch:
                break
            time.sleep(_WATCH_S)
    if trouble:
        raise typer.Exit(1)


def _read_status(settings: Settings, project: str) -> tuple[dict[str, Any], Mapping[int, str], bool]:
    """Return the state of the service and of the projects, the names of people, and whether the store is away."""
    from feedback.reports.health import list_findings
    from feedback.reports.project_status import project_status, service_status
    from feedback.store import describe_store
    from ml_backend.labelstudio.doctor import Finding

    found: dict[str, Any] = {"service": {"store": describe_store(settings.store_url)}, "projects": []}
    try:
        with opened_store(settings, wait_s=2.0, ingest=False) as store:
            trouble = list_findings(settings, store)  # with what waits in the inbox, before it is read
            with suppress(StoreError):
                store.ingest_inbox()
            chosen = [require_project(store, project)] if project else store.projects.list_projects()
            found["projects"] = [project_status(store, item) for item in chosen]
            found["service"] |= service_status(store) | {"trouble": trouble}
            needs_names = any(item["not_counted"] for item in found["projects"])
            names = list_names(settings, store) if needs_names else {}
    except StoreError as error:
        away = Finding("store", "error", f"the store: {error}", error.hint)
        found["service"]["trouble"] = [away, *list_findings(settings, None)]
        return found, {}, True
    return found, names, False


def _print_status(found: dict[str, Any], names: Mapping[int, str], *, lost: bool) -> None:
    from feedback.reports.status_text import status_lines
    from ml_backend.number_format import format_counted, format_number

    if not found["projects"] and not lost:
        echo("No project yet. Connect one: hitl connect PROJECT")
        echo()
    for item in found["projects"]:
        echo(f"Project {item['project']}  {item['title']}", bold=True)
        for name, sentence in status_lines(item, names):
            echo(f"  {name:<13} {sentence}")
        echo()
    service = found["service"]
    if not lost:
        size = f"{format_number(round(service['store_bytes'] / (1 << 20), 1))} MiB"
        events = format_counted(service["events"], "event", "events")
        models = format_counted(service["models"], "model", "models")
        echo(f"Store: {service['store']} ({events}, {models}, {size}).")
    trouble = service["trouble"]
    echo("Trouble: none." if not trouble else "Trouble:")
    for item in trouble:
        echo(f"  • {item.what} {item.fix}".rstrip(), fg=_COLOURS[item.severity])
