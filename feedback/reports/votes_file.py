"""Votes and gold answers from CSV files: the rows, the answers that people typed into cells, and their analysis."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from feedback.errors import VotesError
from feedback.reports.vote_analysis import NUMBER_KINDS, Analysis, analyse_votes
from ml_backend.codecs import get_codec
from ml_backend.errors import CodecError, UnknownName
from ml_backend.label_config import Control
from ml_backend.records import Answer

_WORKER = ("worker", "annotator", "person", "user")
_TASK = ("task", "item", "unit")
_LABEL = ("label", "answer", "vote", "rating")
_GOLD = ("gold", "truth", "label", "answer")
_MOST_DIGITS = 18  # of a task id; databases hold 64 bits
_MAX_CELL_CHARS = 1 << 22  # characters of one cell: a result with thousands of boxes, not a picture
_NOMINAL_KINDS = ("choices", "pairwise")  # a label is a word
_JSON_KINDS = ("labels", "rectanglelabels", "taxonomy")  # a label is JSON, as Label Studio writes it
_KINDS = (*_NOMINAL_KINDS, *NUMBER_KINDS, *_JSON_KINDS)
_BRANCH = ">"  # between the labels of a path, as people write one
_ANY_HINT = "A cell is the result as JSON, as Label Studio exports it."
_HINTS = {
    "choices": 'A cell is a label, or a JSON list such as ["a", "b"].',
    "pairwise": "A cell is left or right.",
    "rating": "A cell is a whole number of stars.",
    "number": "A cell is a number.",
    "taxonomy": 'A cell is a path such as Animal > Dog, or a JSON list of paths such as [["Animal", "Dog"]].',
}


@dataclass(frozen=True, slots=True)
class VoteTable:
    """Columns of equal length, one row per vote, and notes on rows that were left out."""

    tasks: list[str]
    workers: list[str]
    labels: list[str]
    notes: tuple[str, ...]


def read_votes(path: Path) -> VoteTable:
    """Read a CSV file with the columns worker, task and label, in any order; further columns are ignored.

    A row without a label is a missing vote. If a worker has several rows for one task, the last one counts. VotesError
    where the file cannot be read, has no such column, or has a row without a worker or task.
    """
    (workers, tasks, labels), notes = _read(path, _WORKER, _TASK, _LABEL)
    last = sorted({pair: row for row, pair in enumerate(zip(tasks, workers, strict=True))}.values())
    if len(last) < len(tasks):
        notes.append(f"{len(tasks) - len(last)} votes were repeated by the same worker: the last one counts")
        workers, tasks, labels = ([column[row] for row in last] for column in (workers, tasks, labels))
    return VoteTable(tasks, workers, labels, tuple(notes))


def read_gold(path: Path) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Read a CSV file with the columns task and gold; return the answers by task, and notes on rows left out.

    VotesError where the file cannot be read, or a task has two different gold answers.
    """
    (tasks, answers), notes = _read(path, _TASK, _GOLD)
    gold: dict[str, str] = {}
    for task, answer in zip(tasks, answers, strict=True):
        if gold.setdefault(task, answer) != answer:
            raise VotesError(
                f"{path.name}: task {task[:40]!r} has two gold answers, {gold[task][:40]!r} and {answer[:40]!r}.",
                hint="Keep one row per task.",
            )
    return gold, tuple(notes)


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
    VotesError where the type is unknown, or a cell is not of it; the message names the first such row. Other options
    are those of `analyse_votes`.
    """
    several = kind == "choices" and all(cell.startswith("[") for cell in table.labels)
    if kind not in _KINDS:
        raise VotesError(f"no type called {kind!r}.", hint=f"Known types: {', '.join(_KINDS)}.")
    labels: Sequence[Any] = table.labels
    known: Mapping[str, Any] | None = gold
    if several or kind not in _NOMINAL_KINDS:
        read = _number if kind in NUMBER_KINDS else parse_cell
        labels = [read(cell, kind, where=f"row {row}") for row, cell in enumerate(table.labels, 2)]
        known = gold and {task: read(cell, kind, where=f"gold of {task}") for task, cell in gold.items()}
    return analyse_votes(
        kind,
        table.tasks,
        table.workers,
        labels,
        gold=known,
        calibrate_gold=calibrate_gold,
        notes=(*table.notes, *notes),
    )


def parse_answers(cells: Mapping[str, str], control: Control) -> dict[int, Answer]:
    """Parse answers by task id, and check them against the labels of the control.

    VotesError, which names the task, where an id is not a whole number, a cell cannot be parsed, or the control does
    not allow the answer.
    """
    found: dict[int, Answer] = {}
    for task, cell in cells.items():
        if not task.isdecimal() or len(task) > _MOST_DIGITS:
            raise VotesError(f"task {task[:40]!r} is not a task id.", hint="Label Studio's ids are whole numbers.")
        found[int(task)] = parse_cell(cell, control.kind, where=f"task {task}")
        _check_labels(found[int(task)], control, f"task {task}")
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


def _read(path: Path, *wanted: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """Return the wanted columns, each given by the names that it may have, and notes on rows left out."""
    (text, _notes), columns = read_csv_text(path), ", ".join(accepted[0] for accepted in wanted)
    header, _, _ = text.partition("\n")
    if not header.strip():
        raise VotesError(f"{path.name} is empty.", hint=f"Wanted a CSV file with a header line and columns {columns}.")
    delimiter = max(",;\t", key=header.count)
    rows = _plain_columns(text, delimiter) or _quoted_columns(path, text, delimiter)
    names = [column[0].strip().lower() for column in rows]
    places = [_place(path, names, accepted, columns) for accepted in wanted]
    read = [rows[place][1:] for place in places]
    if not read[0]:
        raise VotesError(f"{path.name} has a header and no rows.", hint=f"Wanted one row per vote: {columns}.")
    if text.count(" ") or text.count("\t"):
        read = [[cell.strip() for cell in column] for column in read]
    return _complete(path, read, [accepted[0] for accepted in wanted])


def _plain_columns(text: str, delimiter: str) -> list[list[str]] | None:
    """Return the columns of a file without quotes and with equally long rows; None for any other file.

    Splitting the whole text at once takes a tenth of the time of the csv module: it matters for a million votes.
    """
    lines = text.replace("\r\n", "\n").rstrip("\n")
    if '"' in lines or "\r" in lines or "\n\n" in lines:
        return None
    chars = np.frombuffer(lines.encode(), dtype=np.uint8)
    ends = np.flatnonzero(chars == ord("\n"))
    cells = np.diff(np.searchsorted(np.flatnonzero(chars == ord(delimiter)), [0, *ends, len(chars)]))
    if not (cells == cells[0]).all():
        return None
    n_columns = int(cells[0]) + 1
    flat = lines.replace("\n", delimiter).split(delimiter)
    return [flat[column::n_columns] for column in range(n_columns)]


def _quoted_columns(path: Path, text: str, delimiter: str) -> list[list[str]]:
    """Return the columns as the csv module reads them; VotesError names the first row that is too short."""
    csv.field_size_limit(_MAX_CELL_CHARS)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise VotesError(
            f"{path.name}, line {reader.line_num}: {error}.", hint="Export the file again as CSV."
        ) from error
    n_columns = len(rows[0])
    short = next((number for number, row in enumerate(rows) if len(row) < n_columns), None)
    if short is not None:
        raise VotesError(
            f"{path.name}, row {short + 1}: {len(rows[short])} cells, wanted {n_columns}.",
            hint="Quote a label that contains the separator or a quote.",
        )
    return [[row[column] for row in rows] for column in range(n_columns)]


def _complete(path: Path, read: list[list[str]], columns: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """Leave out rows without an answer; raise VotesError for a row without a task or worker."""
    for column, name in zip(read[:-1], columns, strict=False):
        if "" in column:
            row = column.index("") + 2
            raise VotesError(f"{path.name}, row {row}: no {name}.", hint="Add it, or remove the row.")
    if "" not in read[-1]:
        return read, []
    keep = [place for place, answer in enumerate(read[-1]) if answer]
    left_out = len(read[-1]) - len(keep)
    if not keep:
        raise VotesError(
            f"{path.name}: the {columns[-1]} column is empty in every row.", hint="Is this the right file?"
        )
    return [[column[place] for place in keep] for column in read], [f"{left_out} rows of {path.name} have no answer"]


def read_csv_text(path: Path, *, fallback: str = "") -> tuple[str, list[str]]:
    """Return a CSV file as text, with a note if it was read in the encoding `fallback`; VotesError if unreadable."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise VotesError(f"{path} cannot be read: {error.strerror}.", hint="Give the path of a CSV file.") from error
    notes = []
    try:
        text = raw.decode("utf-16" if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        try:
            text = raw.decode(fallback or "utf-8")
        except UnicodeDecodeError:
            hint = "Save the file as UTF-8 (in Excel: CSV UTF-8)."
            raise VotesError(f"{path.name}, line {line}: not UTF-8.", hint=hint) from error
        notes.append(f"{path.name} is not UTF-8 (line {line}); it is read as {fallback}")
    if "\0" in text:
        raise VotesError(f"{path.name} is not a text file.", hint="Export it from the spreadsheet as CSV.")
    return text, notes


def _place(path: Path, names: list[str], accepted: Sequence[str], columns: str) -> int:
    found = [name for name in accepted if name in names]
    if not found:
        given = ", ".join(repr(name) for name in names[:12])
        raise VotesError(
            f"{path.name} has no column {accepted[0]!r}; it has {given}.",
            hint=f"Wanted the columns {columns}; rename yours in the header line.",
        )
    if names.count(found[0]) > 1:
        raise VotesError(f"{path.name} has the column {found[0]!r} twice.", hint="Remove or rename one of them.")
    return names.index(found[0])


def _to_regions(cell: str, kind: str, where: str) -> list[Mapping[str, Any]]:
    if kind == "pairwise":
        return [{"value": {"selected": cell}}]
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
    if kind in ("choices", "taxonomy") and not any(isinstance(item, dict) for item in items):
        items = [{kind: items}]
    return [item if isinstance(item, dict) and "value" in item else {"value": item} for item in items]


def _check_labels(answer: Answer, control: Control, where: str) -> None:
    """Raise VotesError for labels that the control does not have, and for several where it takes one."""
    value: Any = answer.value
    used: set[str] = set()
    if answer.kind == "choices":
        used = set(value)
    elif answer.kind in ("labels", "rectanglelabels"):
        used = {region[-1] for region in value}
    if control.labels and (unknown := sorted(used - set(control.labels))):
        raise VotesError(
            f"{where}: {unknown[0][:40]!r} is not a label; {control.name!r} has {', '.join(control.labels)}."
        )
    if answer.kind == "choices" and len(value) > 1 and not control.multiple:
        raise VotesError(f"{where}: {len(value)} labels, but {control.name!r} takes one.")


def _number(cell: str, kind: str, *, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise VotesError(f"{where}: {cell[:40]!r} is not a number.", hint=f"Every label of type {kind} must be one.")
    return value
