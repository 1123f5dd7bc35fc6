"""hitl history: all versions of all annotations of a task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import typer

from feedback.cli.arguments import AsJson, OfProject, Task
from feedback.cli.terminal import screen


def history(
    task: Task,
    project: OfProject,
    as_json: AsJson = False,
) -> None:
    """Show all annotations of a task, including changed and deleted versions."""
    from datetime import UTC, datetime

    from rich.table import Table

    from feedback.app.bootstrap import load_settings, opened_store, require_project

    with opened_store(load_settings()) as store:
        versions = store.events.list_task_history(require_project(store, project).id, task)
    if as_json:
        typer.echo(json.dumps([asdict(version) for version in versions], indent=2))
        return
    if not versions:
        typer.echo(f"Task {task} has no annotation.")
        return
    table = Table("version", "annotation", "action", "person", "answer", "time", "source", title=f"Task {task}")
    for version in versions:
        body: Mapping[str, Any] = version.body or {}
        moment = version.version or datetime.fromtimestamp(version.received_s, UTC).isoformat(timespec="seconds")
        person = body.get("person")
        table.add_row(
            str(version.seq),
            str(version.annotation),
            _action(version.action, body),
            str(person or ""),
            _answer_text(version),
            moment,
            version.source,
        )
    screen().print(table)
    typer.echo(f"`hitl restore VERSION --project {project}` restores a version.")


def _action(action: str, body: Mapping[str, Any]) -> str:
    return "skipped" if action == "saved" and body.get("was_cancelled") else action


def _answer_text(version: Any) -> str:
    """Return the values of a result, shortened."""
    if version.body is None:
        return "" if version.action == "deleted" else "(erased)"
    result = version.body.get("result")
    if not isinstance(result, list):
        return "(unreadable)"
    parts = [
        f"{region.get('from_name')}: {json.dumps(region.get('value'), ensure_ascii=False)}"
        for region in result
        if isinstance(region, Mapping)
    ]
    return "; ".join(parts)[:200]
