"""Text with one label each, read from a CSV file: spam filters, topics, sentiment."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

from feedback.errors import RecipeError, VotesError
from feedback.policy import Policy
from feedback.policy.schema import Overlap, Queue
from feedback.recipes import ProjectRecipe
from feedback.reports.votes_file import read_csv_text
from ml_backend.left_out import name_some

_MOST_LABELS = 100  # more than that is free text, not a label
_MOST_NAMED = 12  # columns that a message lists
_LONGEST_NAME = 38  # of the file, in the project's title: Label Studio allows 50 characters
_SIGNS = ",;\t|"  # between cells, as spreadsheets of different countries export them
_LONGEST = 1 << 24  # characters of one cell
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # no label config can hold these

LABEL_CONFIG = """<View>
  <Text name="text" value="$text"/>
  <Choices name="label" toName="text" choice="single" showInline="true">
    {choices}
  </Choices>
</View>"""


def make(*, data: Path | None, text: str, label: str, limit: int | None) -> ProjectRecipe:
    """Return the recipe of a CSV file with a text and a label column; rows without one of them are left out."""
    if data is None:
        raise RecipeError(
            "the spam recipe needs a CSV file.", hint="hitl demo --recipe spam --data FILE.csv --text COL --label COL"
        )
    try:
        content, notes = read_csv_text(data, fallback="Windows-1252")  # as spreadsheets write it; it holds Latin-1
    except VotesError as error:
        raise RecipeError(str(error), hint=error.hint) from None
    pairs = _read_pairs(data, content, text, label)
    rows = [(content, name) for content, name in pairs if content and name][:limit]
    if left_out := sum(not (content and name) for content, name in pairs):
        notes.append(f"{left_out} rows of {data.name} have no text or no label and are left out")
    labels = sorted({name for _, name in rows})
    _refuse_unusable(data, label, labels)
    choices = "\n    ".join(f"<Choice value={quoteattr(name)}/>" for name in labels)
    return ProjectRecipe(
        title=f"{data.stem[:_LONGEST_NAME]} (hitl demo)",
        label_config=LABEL_CONFIG.format(choices=choices),
        tasks=[{"text": content} for content, _ in rows],
        truth=[name for _, name in rows],
        control="label",
        policy=Policy(queue=Queue(window=200, head=8), overlap=Overlap(share=0.15)),
        notes=tuple(notes),
    )


def _read_pairs(path: Path, content: str, text: str, label: str) -> list[tuple[str, str]]:
    """Return text and label of each row that is not blank."""
    csv.field_size_limit(_LONGEST)
    wanted = (text.strip(), label.strip())
    try:
        tables = {sign: csv.reader(io.StringIO(content, newline=""), delimiter=sign) for sign in _SIGNS}
        headers = {sign: [name.strip() for name in next(table, [])] for sign, table in tables.items()}
        sign = max(_SIGNS, key=lambda sign: (set(wanted) <= set(headers[sign]), len(headers[sign])))
        places = [_place(path, headers[sign], name) for name in wanted]
        rows = [row for row in tables[sign] if any(row)]
    except csv.Error as error:
        raise RecipeError(f"{path.name} is no CSV: {error}.", hint="Export the file again as CSV.") from None
    return [(_cell(row, places[0]), _cell(row, places[1])) for row in rows]


def _cell(row: Sequence[str], place: int) -> str:
    return row[place].strip() if place < len(row) else ""


def _place(path: Path, columns: Sequence[str], name: str) -> int:
    if name not in columns:
        raise RecipeError(
            f"{path.name} has no column {name!r}; it has: {name_some(columns, most=_MOST_NAMED) or 'none'}.",
            hint="Name the columns with --text and --label.",
        )
    if columns.count(name) > 1:
        raise RecipeError(f"{path.name} has the column {name!r} twice.", hint="Remove or rename one of them.")
    return columns.index(name)


def _refuse_unusable(path: Path, column: str, labels: Sequence[str]) -> None:
    if not 2 <= len(labels) <= _MOST_LABELS:
        held = f"only {labels[0][:40]!r}" if len(labels) == 1 else f"{len(labels)} different values"
        raise RecipeError(
            f"column {column!r} of {path.name} holds {held}; wanted 2 to {_MOST_LABELS} labels.",
            hint="Is it the column of labels? Rows without a text or a label, and those beyond --limit, do not count.",
        )
    if odd := next((name for name in labels if _NOT_XML.search(name)), None):
        raise RecipeError(
            f"{path.name} has the label {odd[:40]!r}, which no label config can hold.",
            hint="Remove the control character.",
        )
