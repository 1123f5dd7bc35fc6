"""Votes and gold answers from CSV files, checked line by line; whatever is odd is named."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    kept = {(task, worker): place for place, (task, worker) in enumerate(zip(tasks, workers, strict=True))}
    if len(kept) < len(tasks):
        notes.append(f"{len(tasks) - len(kept)} votes were given again by the same worker: the last one counts")
        rows = sorted(kept.values())
        workers, tasks, labels = ([column[row] for row in rows] for column in columns)
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
    csv.field_size_limit(_LONGEST)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(header))
    try:
        names = [name.strip().lower() for name in next(reader)]
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise VotesError(
            f"{path.name}, line {reader.line_num}: {error}.", hint="Export the file again as CSV."
        ) from error
    places = [_place(path, names, accepted, columns) for accepted in wanted]
    if not rows:
        raise VotesError(f"{path.name} has a header and no rows.", hint=f"Wanted one row per vote: {columns}.")
    short = next((number for number, row in enumerate(rows) if len(row) <= max(places)), None)
    if short is not None:
        raise VotesError(
            f"{path.name}, row {short + 2}: {len(rows[short])} cells, wanted {len(names)}.",
            hint="A label that holds the separator or a quote must be quoted.",
        )
    read = [[row[place].strip() for row in rows] for place in places]
    return _complete(path, read, columns)


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
