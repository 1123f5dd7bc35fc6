"""hitl agree: how far people agree, what they say together, and how good each of them is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from feedback.reports.analysis import Analysis

_SHOWN_PEOPLE = 15


def agree(
    votes: Annotated[Path, typer.Option("--votes", help="CSV with the columns worker, task, label.")],
    gold: Annotated[Path | None, typer.Option("--gold", help="CSV with the columns task, gold.")] = None,
    kind: Annotated[str, typer.Option("--type", help="What a label is: choices or rating.")] = "choices",
    calibrate_gold: Annotated[
        int, typer.Option("--calibrate-gold", min=0, help="Gold answers for calibration; the rest judges.")
    ] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write everything here, as JSON.")] = None,
) -> None:
    """Measure agreement, consensus and annotators of a votes file."""
    from feedback.reports.analysis import analyse
    from feedback.reports.votes_csv import read_gold, read_votes
    from feedback.votes import name_columns

    table = read_votes(votes)
    answers, told = read_gold(gold) if gold else (None, ())
    named = name_columns(table.tasks, table.workers, table.labels)
    found = analyse(
        named,
        ordered=kind == "rating",
        gold=answers,  # type: ignore[arg-type]
        calibrate_gold=calibrate_gold,
        notes=(*table.notes, *told),
    )
    if json_file:
        json_file.write_text(json.dumps(found.plain(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _print(found)


def _print(found: Analysis) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("agreement", "value", "95 % interval", "items", "pairs")
    for name, figure in found.agreement.items():
        shown = "–" if figure.note else f"{figure.value:.3f}"
        table.add_row(name, shown, f"[{figure.low:.3f}, {figure.high:.3f}]", f"{figure.items:,}", f"{figure.pairs:,}")
    console.print(table)
    console.print(found.verdict, highlight=False, markup=False)
    table = Table("consensus", "method", "accuracy on gold", "calibration error")
    for name, one in found.consensus.items():
        figures = ("–" if value is None else f"{value:.4f}" for value in (one.accuracy, one.ece))
        table.add_row(name, one.method, *figures)
    console.print(table)
    table = Table("annotator", "votes", "right", "95 % interval", "judged by", "on")
    shown_people = sorted(found.annotators, key=lambda who: who["high"])[:_SHOWN_PEOPLE]
    for who in shown_people:
        right = "–" if who["accuracy"] is None else f"{who['accuracy']:.3f}"
        bounds = f"[{who['low']:.3f}, {who['high']:.3f}]"
        table.add_row(str(who["worker"]), f"{who['votes']:,}", right, bounds, who["against"], f"{who['compared']:,}")
    console.print(table)
    if len(found.annotators) > len(shown_people):
        console.print(f"{len(found.annotators) - len(shown_people)} more annotators, with higher upper bounds.")
    for note in found.notes:
        console.print(f"Note: {note}.", highlight=False, markup=False)
