"""The terminal view of the demo: a live table while people work, and a table of all verdicts at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from feedback.demo.simulated_annotators import Annotator
from feedback.reports.formatting import percent
from feedback.reports.project_status import status_lines


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
    for name, sentence in status_lines(status):
        table.add_row(name, Text(sentence))
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
            percent(verdict["accuracy"]),
            percent(verdict["champion_accuracy"]),
            Text("promoted", style="green") if verdict["promote"] else Text("kept out", style="yellow"),
            verdict["reason"],
        )
    lines = dict(status_lines(status))
    if not verdicts:
        table.add_row(*[""] * 6, Text(lines["model"]))
    table.caption = f"accuracy: {lines['accuracy']}. Agreement: {lines['agreement']}"
    return table
