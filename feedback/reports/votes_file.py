"""Votes and gold answers from CSV files: the rows, the answers that people typed into cells, and their analysis."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from feedback.errors import VotesError
from feedback.project.label_changes import labels_in
from feedback.reports.csv_table import CsvTable, describe_odd_labels, describe_spelling, read_csv_table, unify_column
from feedback.reports.vote_analysis import NUMBER_KINDS, Analysis, analyse_votes
from feedback.training.dataset import why_impossible
from ml_backend.clean_text import unify_spelling
from ml_backend.codecs import get_codec
from ml_backend.errors import CodecError, UnknownName
from ml_backend.label_config import Control
from ml_backend.left_out import name_some
from ml_backend.number_format import format_counted
from ml_backend.plugins import CODECS
from ml_backend.records import Answer

_WORKER = ("worker", "annotator", "person", "user")
_TASK = ("task", "item", "unit")
_LABEL = ("label", "answer", "vote", "rating")
_GOLD = ("gold", "truth", "label", "answer")
_MOST_DIGITS = 18  # of a task id; databases hold 64 bits
_NOMINAL_KINDS = ("choices", "pairwise")  # a label is a word
_TEXT_KINDS = {"pairwise": "selected", "datetime": "datetime", "textarea": "text"}  # where a cell goes, as it is
_BRANCH = ">"  # between the labels of a path, as people write one
_ANY_HINT = "A cell is the result as JSON, as Label Studio exports it."
_HINTS = {
    "choices": 'A cell is a label, or a JSON list such as ["a", "b"].',
    "pairwise": "A cell is left or right.",
    "rating": "A cell is a whole number of stars.",
    "number": "A cell is a number.",
    "datetime": "A cell is a date or a time.",
    "ranker": 'A cell is a JSON list of items, the best first, such as ["b", "a"].',
    "textarea": "A cell is the text.",
    "taxonomy": 'A cell is a path such as Animal > Dog, or a JSON list of paths such as [["Animal", "Dog"]].',
}


@dataclass(frozen=True, slots=True)
class VoteTable:
    """Columns of equal length, one row per vote, and notes on what was left out or taken for something else."""

    tasks: list[str]
    workers: list[str]
    labels: list[str]
    rows: Sequence[int]  # their places in the file
    notes: tuple[str, ...]


def read_votes(path: Path) -> VoteTable:
    """Read a CSV file with the columns worker, task and label, in any order; further columns are ignored.

    A row without a label is a missing vote. If a worker has several rows for one task, the last one counts. VotesError
    where the file cannot be read, has no such column, or has a row without a worker or task.
    """
    table = _read(path, _WORKER, _TASK, _LABEL)
    workers, tasks, _ = table.columns
    last = {pair: row for row, pair in enumerate(zip(tasks, workers, strict=True))}
    if repeated := len(tasks) - len(last):
        kept = set(last.values())
        table = table.select([row in kept for row in range(len(tasks))])
        table.notes.append(
            f"{format_counted(repeated, 'vote was', 'votes were')} repeated by the same worker: the last one counts"
        )
    workers, tasks, labels = table.columns
    return VoteTable(tasks, workers, labels, table.rows, tuple(table.notes))


def read_gold(path: Path) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Read a CSV file with the columns task and gold; return the answers by task, and notes on rows left out.

    VotesError where the file cannot be read, or a task has two different gold answers.
    """
    table = _read(path, _TASK, _GOLD)
    gold: dict[str, str] = {}
    for task, answer in zip(*table.columns, strict=True):
        if gold.setdefault(task, answer) != answer:
            raise VotesError(
                f"{path.name}: task {task[:40]!r} has two gold answers, {gold[task][:40]!r} and {answer[:40]!r}.",
                hint="Keep one row per task.",
            )
    return gold, tuple(table.notes)


def analyse_votes_file(
    table: VoteTable,
    *,
    kind: str = "choices",
    gold: Mapping[str, str] | None = None,
    calibrate_gold: int = 0,
    notes: Sequence[str] = (),
) -> Analysis:
    """Analyse the votes of a file, with gold answers by task as `read_gold` returns them.

    `kind` is the type of the labels; "choices" whose cells are all JSON lists are answers of several choices each.
    VotesError where the type is unknown, a cell is not of it (the message names the first such row), or votes and gold
    have no label in common. Other options are those of `analyse_votes`.
    """
    several = kind == "choices" and all(cell.startswith("[") for cell in table.labels)
    if kind not in CODECS:
        raise VotesError(f"no type called {kind!r}.", hint=f"Known types: {', '.join(sorted(CODECS))}.")
    cells, tasks = table.labels, table.tasks
    given: Mapping[str, str] = gold or {}
    of_task, of_label = unify_spelling([*tasks, *given]), unify_spelling([*cells, *given.values()])
    if of_task or of_label:
        tasks, cells = [of_task.get(task, task) for task in tasks], [of_label.get(cell, cell) for cell in cells]
        given = {of_task.get(task, task): of_label.get(cell, cell) for task, cell in given.items()}
    labels: Sequence[Any] = cells
    known: Mapping[str, Any] = given
    if several or kind not in _NOMINAL_KINDS:
        read = _number if kind in NUMBER_KINDS else parse_cell
        labels = [read(cell, kind, where=f"row {row}") for row, cell in zip(table.rows, cells, strict=True)]
        known = {task: read(cell, kind, where=f"gold of {task}") for task, cell in given.items()}
    if kind != "pairwise" and (foreign := describe_foreign_gold(labels, known)):
        raise VotesError(foreign, hint="Spell the labels alike in both files.")
    similar = describe_odd_labels((*cells, *given.values())) if labels is cells else ()
    return analyse_votes(
        kind,
        tasks,
        table.workers,
        labels,
        gold=known or None,
        calibrate_gold=calibrate_gold,
        notes=(*table.notes, *notes, *describe_spelling(of_task | of_label), *similar),
    )


def describe_foreign_gold(labels: Sequence[Any], gold: Mapping[Any, Any]) -> str:
    """Return a sentence where votes and gold have no label in common, so that everybody would be wrong; else "".

    Labels are texts or answers of any type; numbers are near or far, and are not compared.
    """
    given, wanted = _all_labels(labels), _all_labels(gold.values())
    if not given or not wanted or not given.isdisjoint(wanted):
        return ""
    votes, truth = (name_some([repr(name[:40]) for name in sorted(names)]) for names in (given, wanted))
    return f"no gold answer is a label that anybody gave: gold has {truth}; votes have {votes}."


def _all_labels(answers: Iterable[Any]) -> set[str]:
    found: set[object] = set()
    for answer in set(answers):
        found |= labels_in(answer) if isinstance(answer, Answer) else {answer}
    return {label for label in found if isinstance(label, str)}


def parse_answers(
    cells: Mapping[str, str], control: Control, data: Mapping[int, Mapping[str, Any]] = MappingProxyType({})
) -> dict[int, Answer]:
    """Parse answers by task id, and check them against the labels that people can choose.

    `data` are those of the tasks, which bring labels along where the control has `options`.

    VotesError, which names the task, where an id is not a whole number, a cell cannot be parsed, or the control does
    not allow the answer.
    """
    found: dict[int, Answer] = {}
    spelling = unify_spelling([*cells.values(), *control.labels])
    for name, cell in cells.items():
        task = name.removesuffix(".0")  # pandas writes ids as floats where one is missing
        if not task.isdecimal() or len(task) > _MOST_DIGITS:
            raise VotesError(f"task {task[:40]!r} is not a task id.", hint="Label Studio's ids are whole numbers.")
        answer = parse_cell(spelling.get(cell, cell), control.kind, where=f"task {task}")
        if why := why_impossible(answer, control, control.options_of(data.get(int(task), {}))):
            raise VotesError(f"task {task}: {why}.", hint=_HINTS.get(control.kind, _ANY_HINT))
        if found.setdefault(int(task), answer) != answer:
            raise VotesError(f"task {task} has two gold answers.", hint="Keep one row per task.")
    return found


def parse_cell(cell: str, kind: str, *, where: str) -> Answer:
    """Parse one answer; VotesError, which begins with `where`, if that fails.

    A cell is a label or a JSON list of labels, a number, a path (A > B), or regions as Label Studio exports them.

    >>> parse_cell("Animal > Dog", "taxonomy", where="row 2").value
    (('Animal', 'Dog'),)
    >>> parse_cell("4.5", "number", where="row 2").value
    4.5
    """
    try:
        return get_codec(kind).decode(_to_regions(cell.strip(), kind, where))
    except CodecError as error:
        raise VotesError(f"{where}: {error}.", hint=_HINTS.get(kind, _ANY_HINT)) from error
    except UnknownName as error:
        raise VotesError(f"{where}: answers of type {kind} cannot be parsed: {error}.") from error


def _read(path: Path, *wanted: Sequence[str]) -> CsvTable:
    """Return the rows that have an answer, which is the last column; VotesError for one without a task or worker."""
    names = [accepted[0] for accepted in wanted]
    table = read_csv_table(
        path, *wanted, hint=f"Wanted the columns {', '.join(names)}; rename yours in the header line."
    )
    for column, name in zip(table.columns[:-1], names, strict=False):
        if "" in column:
            row = table.rows[column.index("")]
            raise VotesError(f"{path.name}, row {row}: no {name}.", hint="Add it, or remove the row.")
    answers = table.columns[-1]
    if not any(answers):
        raise VotesError(f"{path.name}: the {names[-1]} column is empty in every row.", hint="Is this the right file?")
    if without := answers.count(""):
        table = table.select(list(map(bool, answers)))
        table.notes.append(
            f"{format_counted(without, f'row of {path.name} has', f'rows of {path.name} have')} no answer"
        )
    table.columns[:] = [unify_column(cells, table.notes) for cells in table.columns]
    return table


def _to_regions(cell: str, kind: str, where: str) -> list[Mapping[str, Any]]:
    if kind in _TEXT_KINDS and not cell.startswith("{"):
        return [{"value": {_TEXT_KINDS[kind]: cell}}]
    if kind == "choices" and not cell.startswith("["):
        return [{"value": {"choices": [cell]}}]
    if kind == "taxonomy" and not cell.startswith(("[", "{")):
        return [{"value": {"taxonomy": [[label.strip() for label in cell.split(_BRANCH)]]}}]
    try:
        found = json.loads(cell)
    except (ValueError, RecursionError) as error:
        what = "not a number" if kind in ("rating", "number") else "not JSON"
        raise VotesError(f"{where}: {what}: {cell[:40]!r}.", hint=_HINTS.get(kind, _ANY_HINT)) from error
    if kind in ("rating", "number"):
        return [{"value": {kind: found}}]
    items = found if isinstance(found, list) else [found]
    if kind in ("choices", "ranker", "taxonomy") and not any(isinstance(item, dict) for item in items):
        items = [{kind: [json.dumps(item) if isinstance(item, (int, float)) else item for item in items]}]
    return [item if isinstance(item, dict) and "value" in item else {"value": item} for item in items]


def _number(cell: str, kind: str, *, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise VotesError(f"{where}: {cell[:40]!r} is not a number.", hint=f"Every label of type {kind} must be one.")
    return value
