"""A file with the true label of each row, read as tasks: what `hitl evaluate` trains and tests models on."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Any

from feedback.errors import FileError
from feedback.reports.csv_table import describe_odd_labels, read_csv_header, read_csv_table, unify_column
from ml_backend.features.image_archive import ImageArchive
from ml_backend.left_out import name_some
from ml_backend.number_format import format_counted

FIELD = "content"  # of the task data that the rows become


@dataclass(frozen=True, slots=True)
class LabelledFile:
    """The rows of a file that have a label and something to read; equal contents are copies of one another."""

    contents: Sequence[str] | Sequence[dict[str, str]]  # (n,) a text, the address of an image, or cells by column
    labels: Sequence[str]  # (n,)
    notes: tuple[str, ...]  # sentences without a full stop

    @property
    def data(self) -> list[dict[str, Any]]:
        """Return the data of the tasks that the rows become, (n,)."""
        return [{FIELD: content} for content in self.contents]

    @property
    def keys(self) -> list[Hashable]:
        """Return one value per row, (n,), equal for equal contents."""
        return [tuple(content.items()) if isinstance(content, dict) else content for content in self.contents]


def read_labelled_file(
    path: Path, *, columns: Sequence[str], label: str, images: ImageArchive | None = None
) -> LabelledFile:
    """Read the columns that a model reads, and the label, of a CSV file (as `read_csv_table` reads it).

    Several text columns become one text, a line each. With `images`, the only column names a file in the archive.
    Without `columns` all but the label become a table of one row; an empty cell is a missing value.
    Rows without a label, without a content or without their image are left out, and counted in the notes. VotesError
    or FileError where the file cannot be read, a column is missing, or no row is left.
    """
    hint = "Name columns as they stand in the first line of the file."
    is_table = not columns
    if is_table:
        columns = [name for name in read_csv_header(path, [label]) if name and name.casefold() != label.casefold()]
    table = read_csv_table(path, *([name] for name in columns), [label], hint=hint)
    *parts, labels = table.columns
    labels, notes = unify_column(labels, table.notes), table.notes
    keep = [bool(name) for name in labels]
    _note(notes, path, keep.count(False), f"no {label!r}")
    if is_table:
        cells = (zip(columns, row, strict=True) for row in zip(*parts, strict=True))
        rows = [{name: cell for name, cell in row if cell} for row in cells]
        labels = list(compress(labels, keep))
        _check_rows(path, labels, notes)
        return LabelledFile(list(compress(rows, keep)), labels, (*notes, *describe_odd_labels(labels)))
    contents = parts[0] if len(parts) == 1 else ["\n".join(filter(None, row)) for row in zip(*parts, strict=True)]
    if images is not None:
        contents = _find_images(path, contents, images, keep, notes)
    empty = [kept and not content for kept, content in zip(keep, contents, strict=True)]
    if images is None:
        _note(notes, path, sum(empty), f"no {' and no '.join(map(repr, columns))}")
    keep = [kept and bool(content) for kept, content in zip(keep, contents, strict=True)]
    contents, labels = list(compress(contents, keep)), list(compress(labels, keep))
    _check_rows(path, labels, notes)
    return LabelledFile(contents, labels, (*notes, *describe_odd_labels(labels)))


def match_labels(test: LabelledFile, known: Collection[str]) -> LabelledFile:
    """Return test rows with the spelling of the training labels, where case or signs at an end alone differ.

    >>> match_labels(LabelledFile(["a"], ["Spam."], ()), {"spam", "ham"}).notes
    ("the test label 'Spam.' is read as 'spam'",)
    """
    spelt = {_bare(label): label for label in sorted(known)}
    if len(spelt) < len(set(known)):
        return test  # the training labels differ by no more themselves
    read = {label: spelt[_bare(label)] for label in sorted({*test.labels} - {*known}) if _bare(label) in spelt}
    notes = (f"the test label {label!r} is read as {name!r}" for label, name in read.items())
    return replace(test, labels=[read.get(label, label) for label in test.labels], notes=(*test.notes, *notes))


def _bare(label: str) -> str:
    return label.strip(" .,;:!").casefold()


def _find_images(
    path: Path, names: Sequence[str], images: ImageArchive, keep: Collection[bool], notes: list[str]
) -> list[str]:
    """Return the address of each row's image, "" where the archive has none; FileError where it has none at all."""
    found = [images.find(name) or "" for name in names]
    missing = [name for name, address, kept in zip(names, found, keep, strict=True) if kept and not address]
    if missing and not any(found):
        raise FileError(
            f"none of the {format_counted(len(missing), 'image', 'images')} of {path.name} is in {images.path.name}: "
            f"{name_some([repr(name) for name in missing])}; the archive has {name_some(images.examples)}.",
            hint="--image names the column with the names of the files in the ZIP.",
        )
    if missing:
        named = name_some([repr(name) for name in sorted(set(missing))])
        _note(notes, path, len(missing), f"an image that {images.path.name} does not have: {named}")
    return found


def _check_rows(path: Path, labels: Sequence[str], notes: Sequence[str]) -> None:
    if not labels:
        because = f" ({'; '.join(notes)})" if notes else ""
        raise FileError(f"{path.name} has no row to learn from{because}.", hint="Is it the right file?")


def _note(notes: list[str], path: Path, count: int, what: str) -> None:
    if count:
        notes.append(f"{format_counted(count, 'row', 'rows')} of {path.name} left out: {what}")
