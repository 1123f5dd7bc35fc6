"""hitl history: every version of every annotation that a task ever had."""

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
    """Show what was said of a task, versions that were changed or deleted included."""
    from datetime import UTC, datetime

    from rich.table import Table

    from feedback.app.bootstrap import known_project, opened, settings_from_environment

    with opened(settings_from_environment()) as store:
        versions = store.events.list_task_history(known_project(store, project).id, task)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in versions], indent=2))
        return
    if not versions:
        typer.echo(f"Nobody has said anything of task {task}.")
        return
    table = Table("version", "annotation", "what", "person", "said", "time", "told by", title=f"Task {task}")
    for one in versions:
        body: Mapping[str, Any] = one.body or {}
        moment = one.version or datetime.fromtimestamp(one.received_s, UTC).isoformat(timespec="seconds")
        person = body.get("person")
        table.add_row(
            str(one.seq),
            str(one.annotation),
            _what(one.action, body),
            str(person or ""),
            _said(one),
            moment,
            one.source,
        )
    screen().print(table)
    typer.echo(f"`hitl restore VERSION --project {project}` brings one back.")


def _what(action: str, body: Mapping[str, Any]) -> str:
    return "skipped" if action == "saved" and body.get("was_cancelled") else action


def _said(version: Any) -> str:
    """The values of a result, shortened."""
    if version.body is None:
        return "" if version.action == "deleted" else "(forgotten)"
    result = version.body.get("result")
    if not isinstance(result, list):
        return "(unreadable)"
    parts = [
        f"{one.get('from_name')}: {json.dumps(one.get('value'), ensure_ascii=False)}"
        for one in result
        if isinstance(one, Mapping)
    ]
    return "; ".join(parts)[:200]
