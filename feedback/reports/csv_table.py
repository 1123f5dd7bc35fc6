"""CSV files of other people: found out how they are written, and read into clean columns."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np

from feedback.errors import VotesError
from ml_backend.clean_text import ODD, clean_text, decode_text, group_similar, unify_spelling
from ml_backend.left_out import name_some

_MAX_CELL_CHARS = 1 << 24  # characters of one cell: a result with thousands of boxes, not a picture
_SIGNS = ",;\t|"  # between cells, as spreadsheets of different countries export them
_OF_EXCEL = re.compile(r'"?sep=([^\r\n"])"?[ ,;\t]*(?:\r\n|\n|\r|$)', re.IGNORECASE)  # its first line names the sign
_FALLBACK = "cp1252"  # as spreadsheets of Windows write it; it holds Latin-1
_MOST_NAMED = 12  # columns that a message lists
_WORDS_FOR_NOTHING = frozenset(("#n/a", "<na>", "n/a", "na", "nan", "nil", "none", "null"))  # as programs write it


@dataclass(frozen=True, slots=True)
class CsvTable:
    """The wanted columns of a file, clean and of equal length; rows without any of them are left out."""

    columns: list[list[str]]
    rows: Sequence[int]  # (n,) the place of each row in the file, the header is row 1
    notes: list[str]  # sentences without a full stop

    def select(self, keep: Sequence[bool]) -> CsvTable:
        """Return the rows that a mask (n,) selects."""
        return CsvTable(
            [list(compress(cells, keep)) for cells in self.columns], [*compress(self.rows, keep)], self.notes
        )


def read_csv_table(path: Path, *wanted: Sequence[str], hint: str = "", ragged: bool = False) -> CsvTable:
    """Read some columns of a CSV file, each given by the names that it may have, in small letters or as it is written.

    The encoding (UTF-8, UTF-16, else Windows-1252 with a note), the sign between cells and a first line `sep=;` are
    found out; a JSON list of objects and JSON lines are read, too. Cells are cleaned as by `clean_text`. VotesError,
    with `hint` for a missing column, where the file cannot be read or a row has not as many cells as the header; a
    `ragged` file may have such rows.
    """
    text, notes = _read_text(path)
    text = _json_to_csv(text)
    names = [accepted[0] for accepted in wanted]
    first, sign = 1, ""
    if found := _OF_EXCEL.match(text):
        first, sign, text = 2, found[1], text[found.end() :]
    if not text.strip():
        raise VotesError(f"{path.name} is empty.", hint=f"Wanted a CSV file with a header and {', '.join(names)}.")
    csv.field_size_limit(_MAX_CELL_CHARS)
    sign, header = _choose_header(path, text, sign, wanted)
    places = [_place(path, header, accepted, hint) for accepted in wanted]
    columns = _plain_columns(text, sign, places)
    rows: Sequence[int] = range(first + 1, first + 1 + len(columns[0])) if columns else ()
    if columns is None:
        columns, rows = _quoted_columns(path, text, sign, places, first=first, ragged=ragged)
    if ODD.search(text):
        columns = [list(map(clean_text, cells)) for cells in columns]
    table = CsvTable(columns, rows, notes)
    if all("" in cells for cells in columns):
        table = table.select([any(cells) for cells in zip(*columns, strict=True)])
    if not table.rows:
        raise VotesError(f"{path.name} has a header and no rows.", hint=f"Wanted rows with {', '.join(names)}.")
    return table


def read_csv_header(path: Path, *wanted: Sequence[str]) -> list[str]:
    """Return the names of all columns of a file, clean and in their order; `wanted` as in `read_csv_table`."""
    text = _json_to_csv(_read_text(path)[0])
    found = _OF_EXCEL.match(text)
    text = text[found.end() :] if found else text
    return _choose_header(path, text, found[1] if found else "", wanted)[1]


def unify_column(cells: list[str], notes: list[str]) -> list[str]:
    """Return cells in which names that a program has spelled in two ways are one, and add a note where there are."""
    if not (spelling := unify_spelling(cells)):
        return cells
    notes += [note for note in describe_spelling(spelling) if note not in notes]
    return [spelling.get(cell, cell) for cell in cells]


def describe_spelling(spelling: Mapping[str, str]) -> list[str]:
    """Return a sentence, without a full stop, on names that `unify_spelling` replaces; [] without one."""
    named = name_some([f"{old!r} is read as {new!r}" for old, new in spelling.items()])
    return [f"programs spell one name in two ways: {named}"] if spelling else []


def describe_odd_labels(labels: Iterable[str]) -> list[str]:
    """Return sentences, without a full stop, on labels that may be meant for nothing or for another label.

    >>> describe_odd_labels(["Spam", "spam", "NA"])
    ["'NA' is a label here: a cell without an answer is empty", "these labels are counted apart: 'Spam' and 'spam'"]
    """
    known = set(labels)
    notes = []
    if words := sorted(label for label in known if label.casefold() in _WORDS_FOR_NOTHING):
        are = "is a label" if len(words) == 1 else "are labels"
        notes.append(f"{name_some(list(map(repr, words)))} {are} here: a cell without an answer is empty")
    if similar := [" and ".join(map(repr, group)) for group in group_similar(known)]:
        notes.append(f"these labels are counted apart: {name_some(similar, separator='; ')}")
    return notes


def _read_text(path: Path) -> tuple[str, list[str]]:
    """Return a file as text, with a note where it is not Unicode; VotesError where it is no text."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise VotesError(f"{path} cannot be read: {error.strerror}.", hint="Give the path of a CSV file.") from error
    notes = []
    try:
        text = decode_text(raw)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        hint = "Save the file as UTF-8 (in Excel: CSV UTF-8)."
        broken = VotesError(f"{path.name}, line {line}: not {error.encoding.upper()}.", hint=hint)
        try:
            text = raw.decode(_FALLBACK)
        except UnicodeDecodeError:
            raise broken from None
        if error.encoding != "utf-8" or not raw.decode("utf-8", "ignore").isascii():
            raise broken from None  # all other letters are Unicode: the file is damaged
        notes.append(f"{path.name} is not UTF-8 (line {line}); it is read as Windows-1252")
    if "\0" in text:
        raise VotesError(f"{path.name} is not a text file.", hint="Export it from the spreadsheet as CSV.")
    return text, notes


def _json_to_csv(text: str) -> str:
    """Return a JSON list of objects, or JSON lines, as CSV; any other text stays as it is.

    >>> _json_to_csv('{"task": 1, "label": true}\\n{"task": 2, "label": null, "worker": "ann"}')
    'task,label,worker\\n1,true,\\n2,,ann\\n'
    """
    if not text.lstrip().startswith(("[", "{")):
        return text
    try:
        found = json.loads(text if text.lstrip()[0] == "[" else f"[{','.join(filter(str.strip, text.split(chr(10))))}]")
    except (ValueError, RecursionError):
        return text
    if not all(isinstance(row, dict) for row in found):
        return text
    names, written = dict.fromkeys(name for row in found for name in row), io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_json_cell(row.get(name)) for name in names] for row in found)
    return written.getvalue()


def _json_cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _read_header(path: Path, text: str, sign: str) -> list[str]:
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=sign)
        return list(map(clean_text, next(filter(any, rows), [])))
    except csv.Error as error:
        raise _no_csv(path, 1, error) from error


def _choose_header(path: Path, text: str, sign: str, wanted: Sequence[Sequence[str]]) -> tuple[str, list[str]]:
    """Return the sign between cells, the given one or that with which most wanted columns are found, and the header."""
    headers = {each: _read_header(path, text, each) for each in sign or _SIGNS}
    sign = max(headers, key=lambda each: (_count_found(headers[each], wanted), len(headers[each])))
    return sign, headers[sign]


def _count_found(header: Sequence[str], wanted: Sequence[Sequence[str]]) -> int:
    return sum(bool(_find(header, accepted)[1]) for accepted in wanted)


def _find(header: Sequence[str], accepted: Sequence[str]) -> tuple[str, list[int]]:
    """Return the first accepted name that the header has, and its places; the same letters go before the same name."""
    for write in (str, str.casefold):
        written = list(map(write, header))
        for name in map(clean_text, accepted):
            if places := [place for place, given in enumerate(written) if given == write(name)]:
                return name, places
    return accepted[0], []


def _place(path: Path, header: Sequence[str], accepted: Sequence[str], hint: str) -> int:
    name, places = _find(header, accepted)
    if not places:
        given = name_some([repr(column) for column in header], most=_MOST_NAMED) or "none"
        raise VotesError(f"{path.name} has no column {name!r}; it has {given}.", hint=hint)
    if len(places) > 1:
        raise VotesError(f"{path.name} has the column {name!r} twice.", hint="Remove or rename one of them.")
    return places[0]


def _plain_columns(text: str, sign: str, places: Sequence[int]) -> list[list[str]] | None:
    """Return columns of a file without quotes and with equally long rows; None for any other file.

    Splitting the whole text at once takes a tenth of the time of the csv module: it matters for a million votes.
    """
    lines = text.replace("\r\n", "\n").rstrip("\n")
    if '"' in lines or "\r" in lines or "\n\n" in lines or not sign.isascii():
        return None
    chars = np.frombuffer(lines.encode("utf-8", "surrogatepass"), dtype=np.uint8)
    ends = np.flatnonzero(chars == ord("\n"))
    cells = np.diff(np.searchsorted(np.flatnonzero(chars == ord(sign)), [0, *ends, len(chars)]))
    if not (cells == cells[0]).all():
        return None
    n_columns = int(cells[0]) + 1
    flat = lines.replace("\n", sign).split(sign)
    return [flat[n_columns + place :: n_columns] for place in places]


def _quoted_columns(
    path: Path, text: str, sign: str, places: Sequence[int], *, first: int, ragged: bool
) -> tuple[list[list[str]], list[int]]:
    """Return columns as the csv module reads them, with the places of their rows; blank lines are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sign)
    try:
        found = [(place, row) for place, row in enumerate(reader, first) if any(row)]
    except csv.Error as error:
        raise _no_csv(path, reader.line_num, error) from error
    (_, header), *body = found
    n_columns = max(at for at, name in enumerate(header, 1) if name)
    for place, row in body:
        if not ragged and (len(row) <= max(places) or "".join(row[n_columns:]).strip()):
            raise VotesError(
                f"{path.name}, row {place}: {len(row)} cells, wanted {n_columns}.",
                hint="Quote a label that contains the separator or a quote.",
            )
    columns = [[row[place] if place < len(row) else "" for _, row in body] for place in places]
    return columns, [place for place, _ in body]


def _no_csv(path: Path, line: int, error: csv.Error) -> VotesError:
    return VotesError(f"{path.name}, line {line}: {error}.", hint="Export the file again as CSV.")
