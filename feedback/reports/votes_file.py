"""Votes and gold answers from CSV files, checked line by line; whatever is odd is named."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from feedback.errors import VotesError

_WORKER = ("worker", "annotator", "person", "user")
_TASK = ("task", "item", "unit")
_LABEL = ("label", "answer", "vote", "rating")
_GOLD = ("gold", "truth", "label", "answer")
_LONGEST = 1 << 22  # characters of one cell: a result with thousands of boxes, not a picture


@dataclass(frozen=True, slots=True)
class VoteTable:
    """Columns of equal length, one row a vote, and what was odd about the file."""

    tasks: list[str]
    workers: list[str]
    labels: list[str]
    notes: tuple[str, ...]


def read_votes(path: Path) -> VoteTable:
    """Read a file with the columns worker, task and label, in any order, among others.

    Rows without a label are missing votes; of several rows of one worker and task the last counts. Raises VotesError
    on what is not such a file.
    """
    columns, notes = _read(path, (_WORKER, _TASK, _LABEL), "worker, task, label")
    workers, tasks, labels = columns
    last = _last_of_each(tasks, workers)
    if len(last) < len(tasks):
        notes.append(f"{len(tasks) - len(last)} votes were given again by the same worker: the last one counts")
        workers, tasks, labels = ([column[row] for row in last] for column in columns)
    return VoteTable(tasks, workers, labels, tuple(notes))


def read_gold(path: Path) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """Read a file with the columns task and gold; answers by task.

    Raises VotesError where a task has two different gold answers.
    """
    (tasks, answers), notes = _read(path, (_TASK, _GOLD), "task, gold")
    gold: dict[str, str] = {}
    for task, answer in zip(tasks, answers, strict=True):
        if gold.setdefault(task, answer) != answer:
            raise VotesError(
                f"{path.name}: task {task!r} has two gold answers, {gold[task]!r} and {answer!r}.",
                hint="Keep one row per task.",
            )
    return gold, tuple(notes)


def _read(path: Path, wanted: Sequence[Sequence[str]], columns: str) -> tuple[list[list[str]], list[str]]:
    text = _text(path)
    header, _, _ = text.partition("\n")
    if not header.strip():
        raise VotesError(f"{path.name} is empty.", hint=f"Wanted a CSV file with a header line and columns {columns}.")
    delimiter = _delimiter(header)
    rows = _plain_columns(text, delimiter) or _quoted_columns(path, text, delimiter)
    names = [column[0].strip().lower() for column in rows]
    places = [_place(path, names, accepted, columns) for accepted in wanted]
    read = [rows[place][1:] for place in places]
    if not read[0]:
        raise VotesError(f"{path.name} has a header and no rows.", hint=f"Wanted one row per vote: {columns}.")
    if text.count(" ") or text.count("\t"):
        read = [[cell.strip() for cell in column] for column in read]
    return _complete(path, read, columns)


def _plain_columns(text: str, delimiter: str) -> list[list[str]] | None:
    """The columns of a file without quotes and with as many cells in every row; None otherwise.

    One split of the whole: a million votes in a tenth of the time that a reader of rows takes.
    """
    lines = text.replace("\r\n", "\n").rstrip("\n")
    if '"' in lines or "\r" in lines or "\n\n" in lines:
        return None
    marks = np.frombuffer(lines.encode(), dtype=np.uint8)
    ends = np.flatnonzero(marks == ord("\n"))
    cells = np.diff(np.searchsorted(np.flatnonzero(marks == ord(delimiter)), [0, *ends, len(marks)]))
    if not (cells == cells[0]).all():
        return None
    wide = int(cells[0]) + 1
    flat = lines.replace("\n", delimiter).split(delimiter)
    return [flat[column::wide] for column in range(wide)]


def _quoted_columns(path: Path, text: str, delimiter: str) -> list[list[str]]:
    """The columns as csv reads them; VotesError names the first row that is too short."""
    csv.field_size_limit(_LONGEST)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise VotesError(
            f"{path.name}, line {reader.line_num}: {error}.", hint="Export the file again as CSV."
        ) from error
    wide = len(rows[0])
    short = next((number for number, row in enumerate(rows) if len(row) < wide), None)
    if short is not None:
        raise VotesError(
            f"{path.name}, row {short + 1}: {len(rows[short])} cells, wanted {wide}.",
            hint="A label that holds the separator or a quote must be quoted.",
        )
    return [[row[column] for row in rows] for column in range(wide)]


def _last_of_each(tasks: Sequence[str], workers: Sequence[str]) -> list[int]:
    """The last row of each task and worker, in order."""
    task, worker = ({name: code for code, name in enumerate(dict.fromkeys(column))} for column in (tasks, workers))
    pair = np.fromiter(map(task.__getitem__, tasks), dtype=np.int64, count=len(tasks)) * len(worker)
    pair += np.fromiter(map(worker.__getitem__, workers), dtype=np.int64, count=len(workers))
    last: list[int] = np.sort(len(pair) - 1 - np.unique(pair[::-1], return_index=True)[1]).tolist()
    return last


def _complete(path: Path, read: list[list[str]], columns: str) -> tuple[list[list[str]], list[str]]:
    """Leave out rows without an answer; refuse rows without a task or worker."""
    for column, name in zip(read[:-1], columns.split(", "), strict=False):
        if "" in column:
            row = column.index("") + 2
            raise VotesError(f"{path.name}, row {row}: no {name}.", hint="Every vote needs one; remove the row.")
    if "" not in read[-1]:
        return read, []
    keep = [place for place, answer in enumerate(read[-1]) if answer]
    left_out = len(read[-1]) - len(keep)
    if not keep:
        raise VotesError(
            f"{path.name}: the {columns.split(', ')[-1]} column is empty in every row.", hint="Is it the right file?"
        )
    return [[column[place] for place in keep] for column in read], [f"{left_out} rows of {path.name} have no answer"]


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise VotesError(f"{path} cannot be read: {error.strerror}.", hint="Give the path of a CSV file.") from error
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig")):
        if raw.startswith(mark):
            try:
                text = raw.decode(encoding)
            except UnicodeDecodeError as error:
                line = raw.count(b"\n", 0, error.start) + 1
                raise VotesError(
                    f"{path.name}, line {line}: not UTF-8.", hint="Save the file as UTF-8 (in Excel: CSV UTF-8)."
                ) from error
            break
    if "\0" in text:
        raise VotesError(f"{path.name} is not a text file.", hint="Wanted CSV; export it from the spreadsheet.")
    return text


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _place(path: Path, names: list[str], accepted: Sequence[str], columns: str) -> int:
    found = [name for name in accepted if name in names]
    if not found:
        had = ", ".join(repr(name) for name in names[:12])
        raise VotesError(
            f"{path.name} has no column {accepted[0]!r}; it has {had}.",
            hint=f"Wanted the columns {columns}; rename yours in the header line.",
        )
    if names.count(found[0]) > 1:
        raise VotesError(f"{path.name} has the column {found[0]!r} twice.", hint="Remove or rename one of them.")
    return names.index(found[0])
