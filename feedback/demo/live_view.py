"""The terminal view of the demo: a live table while people work, and a table of all verdicts at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from feedback.demo.simulated_annotators import Annotator


def render_progress(
    status: Mapping[str, Any], people: Sequence[Annotator], *, goal: int, elapsed_s: float, url: str
) -> Group:
    """Return the live table: answers, model, accuracy, agreement and queue as they are now."""
    done = sum(person.tally.answers for person in people)
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="dim")
    table.add_row("answers", f"{done} of {goal}")
    for person in people:
        table.add_row(f"  {person.name}", f"{person.tally.answers} (skill {person.skill:.0%})")
    model = status.get("model") or {}
    table.add_row("model", model.get("version") or _no_model(status))
    table.add_row("audit accuracy", _accuracy(status.get("audit_accuracy")))
    table.add_row("agreement", _agreement(status.get("agreement")))
    table.add_row("queue", _queue(status.get("window")))
    table.add_row("last verdict", Text(str((status.get("verdict") or {}).get("reason", "none yet"))))
    title = Text(f"Label Studio {url}   {elapsed_s:.0f} s", style="bold")
    return Group(title, ProgressBar(total=goal, completed=done, width=60), table)


def render_verdicts(verdicts: Sequence[Mapping[str, Any]], status: Mapping[str, Any]) -> Table:
    """Return a table with one row per challenger: its figures, the verdict and the reason."""
    table = Table(title="Every challenger and its verdict", show_lines=False)
    for column in ("model", "gate", "judge rows", "accuracy", "before", "verdict", "reason"):
        table.add_column(column, overflow="fold")
    for verdict in verdicts:
        table.add_row(
            verdict["challenger"],
            verdict["gate"],
            str(verdict["rows"]),
            _percent(verdict["accuracy"]),
            _percent(verdict["champion_accuracy"]),
            Text("promoted", style="green") if verdict["promote"] else Text("kept out", style="yellow"),
            verdict["reason"],
        )
    if not verdicts:
        table.add_row(*[""] * 6, _no_model(status))
    table.caption = f"audit accuracy {_accuracy(status.get('audit_accuracy'))}; {_agreement(status.get('agreement'))}"
    return table


def _no_model(status: Mapping[str, Any]) -> str:
    waits = status.get("first_model_waits_for")
    return f"none yet: nothing is shown, nothing is faked{f'. It waits for {waits}' if waits else ''}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _accuracy(found: Mapping[str, Any] | None) -> str:
    if not found:
        return "not measured yet"
    return f"{found['value']:.1%} [{found['low']:.1%}, {found['high']:.1%}] on {found['rows']} random rows"


def _agreement(found: Mapping[str, Any] | None) -> str:
    if not found or not found["items"]:
        return "no random task has two votes yet"
    if found["kappa"] is None:
        return f"{_percent(found['percent'])} on {found['items']} random tasks, too few for kappa"
    return f"kappa {found['kappa']:.2f} [{found['low']:.2f}, {found['high']:.2f}] on {found['items']} random tasks"


def _queue(found: Mapping[str, Any] | None) -> str:
    return f"{found['version']}: {found['open']} of {found['rows']} open" if found else "Label Studio's own order"
