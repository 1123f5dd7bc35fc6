"""hitl signal: push and list signals, and show late outcomes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feedback.app.bootstrap import opened_project
from feedback.cli.arguments import AsJson, Commands, Project
from feedback.cli.terminal import print_found
from ml_backend.number_format import format_number

if TYPE_CHECKING:
    from feedback.store import Signal

app = Commands(help="Push signals (outside knowledge about tasks), and list them.", no_args_is_help=True)


@app.command()
def push(
    project: Project,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="user_report, sentiment, thumbs, csat, …, or a name from \\[signals] of the policy."
        ),
    ],
    value: Annotated[str, typer.Option(help="JSON or plain text. A flag needs no value.")] = "",
    task: Annotated[int | None, typer.Option(help="The id of the task. Default: the whole project.")] = None,
    key: Annotated[
        str, typer.Option(help="Your own key of the task, instead of its id (\\[tasks] key of the policy).")
    ] = "",
    number: Annotated[str, typer.Option("--id", help="The sender's id of the signal. A repeated id counts once.")] = "",
    note: Annotated[str, typer.Option(help="A note for readers.")] = "",
    callback: Annotated[
        str, typer.Option(help="A name from \\[notify] of the policy, which gets the final answer.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Store a signal, as POST /signal does. The next turn uses it for routing."""
    from feedback.ingest.signals import SignalHandler

    body: dict[str, Any] = {"signal": name, "source": "hitl signal"}
    body |= {"id": number} if number else {"at": datetime.now(UTC).isoformat()}
    optional = {"task": task, "key": key, "note": note, "callback": callback}
    body |= {field: given for field, given in optional.items() if given not in (None, "")}
    with opened_project(project) as (store, row):
        body["project"] = row.id
        kind = row.policy.all_signals.get(name)
        if value:  # a text such as 4711 is not a number
            body["value"] = value if kind is not None and kind.kind in ("text", "choice") else _value(value)
        done = SignalHandler(store)(body)
    lines = [f"{'stored' if done['new'] else 'already known'}: {done['id']}"]
    lines += [f"  waiting: {done['reason']}"] if "reason" in done else []
    print_found(done, lines, as_json=as_json)


@app.command(name="list")
def list_(
    project: Project,
    task: Annotated[int | None, typer.Option(help="Only signals about this task.")] = None,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Only signals whose task is not known yet, and why.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the newest signals."""
    with opened_project(project) as (store, row):
        signals = store.signals
        found = signals.list_unmatched_signals(row.id) if waiting else signals.list_signals(row.id, task=task)
    about = f"about task {task} of" if task is not None else "in"
    empty = f"No signal {'waits for its task' if waiting else 'has come'} {about} project {row.id}."
    print_found(found, map(_signal_text, found), as_json=as_json, empty=empty)


@app.command()
def outcomes(project: Project, as_json: AsJson = False) -> None:
    """Compare late outcomes with the decisions of each model and policy."""
    from feedback.ingest.signals import summarize_outcomes

    with opened_project(project) as (store, row):
        found = summarize_outcomes(store, row.id, row.policy)
    lines = (
        f"{summary.signal}: {summary.count}{'' if summary.mean is None else f', mean {format_number(summary.mean)}'}; "
        f"model {summary.model or 'none'}, policy {summary.policy or 'none'}, decision {summary.outcome or 'none'}"
        for summary in found
    )
    empty = f"No late outcome has come in project {row.id}: no signal with outcome = true."
    print_found(found, lines, as_json=as_json, empty=empty)


def _signal_text(signal: Signal) -> str:
    about = f"task {signal.task}" if signal.task else signal.external or "the project"
    why = f": {signal.unmatched}" if signal.unmatched else ""
    return f"{signal.name} = {signal.value!r} about {about}, from {signal.source or 'unknown'}{why}"


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
