"""From the text in a votes file to an analysis, by the type of its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from feedback.annotators.cell_parsing import read_cell
from feedback.errors import VotesError
from feedback.reports.distance_analysis import analyse_answers, analyse_numbers
from feedback.reports.vote_analysis import Analysis, analyse
from feedback.reports.votes_file import VoteTable
from feedback.votes import name_columns

LABELS = ("choices", "pairwise")  # a label is a word
NUMBERS = ("rating", "number")
REGIONS = ("labels", "rectanglelabels", "taxonomy")  # a label is JSON, as Label Studio writes it
KINDS = (*LABELS, *NUMBERS, *REGIONS)
UNCALIBRATED = "--calibrate-gold is for one label an answer: all else has a distance from gold, and no probability"


def analyse_table(
    table: VoteTable,
    *,
    kind: str = "choices",
    gold: Mapping[str, str] | None = None,
    calibrate_gold: int = 0,
    notes: Sequence[str] = (),
) -> Analysis:
    """Analyse a votes file. `kind` is one of KINDS; choices whose cells are all JSON lists are several at once.

    Raises VotesError naming the first cell that is not of its kind.
    """
    notes = (*table.notes, *notes)
    several = kind == "choices" and all(cell.startswith("[") for cell in table.labels)
    if calibrate_gold and (several or kind == "number" or kind in REGIONS):
        notes = (*notes, UNCALIBRATED)
    if several:
        return _structured("choices", table, gold, notes)
    if kind in LABELS:
        named = name_columns(table.tasks, table.workers, table.labels)
        return analyse(named, gold=_any(gold), calibrate_gold=calibrate_gold, notes=notes)
    if kind in NUMBERS:
        values = [_number(cell, f"row {row}", kind) for row, cell in enumerate(table.labels, 2)]
        known = None if gold is None else {task: _number(cell, f"gold of {task}", kind) for task, cell in gold.items()}
        if kind == "number":
            return analyse_numbers(table.tasks, table.workers, values, gold=_any(known), notes=notes)
        named = name_columns(table.tasks, table.workers, values)
        return analyse(named, ordered=True, gold=_any(known), calibrate_gold=calibrate_gold, notes=notes)
    if kind in REGIONS:
        return _structured(kind, table, gold, notes)
    raise VotesError(f"no type called {kind!r}.", hint=f"Known types: {', '.join(KINDS)}.")


def _structured(kind: str, table: VoteTable, gold: Mapping[str, str] | None, notes: Sequence[str]) -> Analysis:
    answers = [read_cell(cell, kind, where=f"row {row}") for row, cell in enumerate(table.labels, 2)]
    known = (
        None if gold is None else {task: read_cell(cell, kind, where=f"gold of {task}") for task, cell in gold.items()}
    )
    return analyse_answers(kind, table.tasks, table.workers, answers, gold=_any(known), notes=notes)


def _any(gold: Mapping[str, Any] | None) -> Mapping[Any, Any] | None:
    return gold


def _number(cell: str, where: str, kind: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise VotesError(f"{where}: {cell[:40]!r} is not a number.", hint=f"Every label of type {kind} is one.")
    return value
