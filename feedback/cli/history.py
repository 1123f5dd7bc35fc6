"""hitl history: all versions of all annotations of a task."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import typer

from feedback.cli.arguments import AsJson, OfProject, Task
from feedback.cli.terminal import print_json, print_table


def history(task: Task, project: OfProject, as_json: AsJson = False) -> None:
    """Show all annotations of a task, including changed and deleted versions."""
    from datetime import UTC, datetime

    from feedback.app.bootstrap import opened_project

    with opened_project(project) as (store, row):
        versions = store.events.list_task_history(row.id, task)
    if as_json:
        print_json(versions)
        return
    if not versions:
        typer.echo(f"Task {task} has no annotation.")
        return
    rows = []
    for version in versions:
        body: Mapping[str, Any] = version.body or {}
        moment = version.version or datetime.fromtimestamp(version.received_s, UTC).isoformat(timespec="seconds")
        action = "skipped" if version.action == "saved" and body.get("was_cancelled") else version.action
        person, answer = body.get("person") or "", _answer_text(version)
        rows.append((version.seq, version.annotation, action, person, answer, moment, version.source))
    columns = ("version", "annotation", "action", "person", "answer", "time", "source")
    print_table(columns, rows, title=f"Task {task}")
    typer.echo(f"`hitl restore VERSION --project {project}` restores a version.")


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
