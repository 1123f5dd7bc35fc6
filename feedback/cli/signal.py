"""hitl signal push / list / outcomes: what others know of a task, by hand or from a script."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Annotated, Any

import typer

from feedback.cli.arguments import AsJson, OfProject

app = typer.Typer(help="Push what others know of a task, and see what came.", no_args_is_help=True)


@app.command()
def push(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="user_report, sentiment, thumbs, csat, … or one of \\[signals].")
    ],
    project: OfProject,
    value: Annotated[str, typer.Option(help="JSON, or a plain text; a flag needs none.")] = "",
    task: Annotated[int | None, typer.Option(help="The task's id; without, the whole project.")] = None,
    key: Annotated[str, typer.Option(help="What you call the task, instead: the policy's \\[tasks] key.")] = "",
    number: Annotated[str, typer.Option("--id", help="The sender's own id: a repeat counts once.")] = "",
    note: Annotated[str, typer.Option(help="For whoever reads it later.")] = "",
    callback: Annotated[str, typer.Option(help="A name of \\[notify] that is told the final answer.")] = "",
) -> None:
    """Store a signal, as POST /signal does; the next turn routes with it."""
    from feedback.app.bootstrap import known_project, opened, settings_from_environment
    from feedback.ingest.signals import SignalDoor
    from feedback.store.repositories.policies import policy_of

    body: dict[str, Any] = {"project": project, "signal": name, "source": "hitl signal"}
    body |= {"id": number} if number else {"at": _now()}
    body |= {"task": task} if task is not None else {}
    body |= {"key": key} if key else {}
    body |= {"note": note} if note else {}
    body |= {"callback": callback} if callback else {}
    with opened(settings_from_environment()) as store:
        kind = policy_of(known_project(store, project)).all_signals.get(name)
        if value:  # a report may be called 4711
            body["value"] = value if kind is not None and kind.kind in ("text", "choice") else _value(value)
        done = SignalDoor(store)(body)
    typer.echo(f"{'stored' if done['new'] else 'known already'}: {done['id']}")
    if "reason" in done:
        typer.echo(f"  waiting: {done['reason']}")


@app.command(name="list")
def list_(
    project: OfProject,
    task: Annotated[int | None, typer.Option(help="Only those about one task.")] = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Those whose task is not known yet, and why.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the newest signals."""
    from feedback.app.bootstrap import known_project, opened, settings_from_environment

    with opened(settings_from_environment()) as store:
        number = known_project(store, project).id
        found = store.signals.list_parked_signals(number) if waiting else store.signals.list_signals(number, task=task)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    for one in found:
        about = f"task {one.task}" if one.task else one.external or "the project"
        why = f": {one.parked}" if one.parked else ""
        typer.echo(f"{one.name} = {one.value!r} about {about}, from {one.source or 'unknown'}{why}")


@app.command()
def outcomes(project: OfProject, as_json: AsJson = False) -> None:
    """Show what late outcomes say of the decisions of each model and policy."""
    from feedback.app.bootstrap import known_project, opened, settings_from_environment
    from feedback.ingest.signals import outcomes as joined
    from feedback.store.repositories.policies import policy_of

    with opened(settings_from_environment()) as store:
        row = known_project(store, project)
        found = joined(store, row.id, policy_of(row))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    for one in found:
        mean = "" if one.mean is None else f", mean {one.mean:.3g}"
        typer.echo(
            f"{one.signal}: {one.count}{mean}; model {one.model or 'none'}, policy {one.policy or 'none'}, "
            f"decided in {one.outcome or 'nowhere'}"
        )


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time.time(), UTC).isoformat()
