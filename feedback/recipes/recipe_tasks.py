"""The tasks of a recipe: from its own data or from a file of the user's, with the true labels and the media files."""

from __future__ import annotations

import os
import random
import re
import runpy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET  # `read_label_config` has parsed and bounded the config
from zipfile import BadZipFile, ZipFile

from feedback.errors import RecipeError, VotesError
from feedback.recipes.recipe import Recipe
from feedback.reports.csv_table import describe_odd_labels, read_csv_table, unify_column
from ml_backend.number_format import format_counted

DATA_SETS = "HITL_DATA_SETS"  # the variable with a folder of data sets, which --data may name
_SEED = 7  # of the generators and the draw: the same recipe gives the same tasks
_MOST_LABELS = 100  # more than that is free text, not a label
_LONGEST_NAME = 38  # of the file, in the project's title: Label Studio allows 50 characters
_MOST_FILE_BYTES = 32 << 20
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # no label config can hold these


@dataclass(frozen=True, slots=True)
class RecipeTasks:
    """The tasks of a project to create. Only the simulated people know `truth`; Label Studio never gets it."""

    title: str
    label_config: str
    tasks: Sequence[Mapping[str, Any]] = field(repr=False)  # (n,) task data; file fields have the file's name
    truth: Sequence[str] = field(repr=False)  # (n,) labels
    control: str
    files: tuple[str, ...] = ()  # the task fields that name files
    folder: Path = Path()  # with the files, or with an images.zip that has them
    notes: tuple[str, ...] = ()  # warnings about the data

    def read_file(self, name: str) -> bytes:
        """Return the content of one file; RecipeError where it is missing, too large, or outside of the folder."""
        path, archive = self.folder / name, self.folder / "images.zip"
        try:
            is_here = path.resolve().is_relative_to(self.folder.resolve()) and path.is_file()
            if is_here or not archive.is_file():
                size = (path if is_here else archive).stat().st_size  # FileNotFoundError without both
                content = path.read_bytes() if size <= _MOST_FILE_BYTES else b""
            else:
                with ZipFile(archive) as images:
                    size = images.getinfo(name).file_size
                    content = images.read(name) if size <= _MOST_FILE_BYTES else b""
        except (OSError, KeyError, ValueError, BadZipFile):
            what = f"the file {name[:80]!r} is neither in {self.folder} nor in an images.zip there."
            raise RecipeError(what, hint="The column names files relative to the table's folder.") from None
        if size > _MOST_FILE_BYTES:
            raise RecipeError(f"the file {name[:80]!r} has {size} bytes; the limit is {_MOST_FILE_BYTES}.")
        return content


def load_tasks(
    recipe: Recipe, work: Path, *, data: str = "", shown: str = "", label: str = "", limit: int | None = None
) -> RecipeTasks:
    """Return the tasks of a recipe; rows without a label or a value are left out, with a note.

    Parameters
    ----------
    work
        An existing folder, where a generator writes its files.
    data
        A file of the user's, or a folder with one CSV file, instead of the recipe's own data; also the name of a folder
        in HITL_DATA_SETS. The choices of the label config become its labels.
    shown, label
        Names of its columns where the recipe's own do not fit: that of the first task field, and that of the label.
    limit
        At most so many tasks, drawn at random with a fixed seed; None: as the recipe says.

    Raises
    ------
    RecipeError
        When the generator fails, the file or a column is missing, or the labels cannot be those of a label config.
    """
    own = recipe.description.data
    table = _find_table(data) if data else _make_table(recipe, work)
    columns = dict(own.fields)
    if shown:
        columns[next(iter(columns))] = shown
    label = label or own.label
    hint = "Name the columns with --text and --label."
    try:
        found = read_csv_table(table, *([column] for column in columns.values()), [label], hint=hint, ragged=True)
    except VotesError as error:
        raise RecipeError(str(error), hint=error.hint) from None
    complete = found.select([all(row) for row in zip(*found.columns, strict=True)])
    names = unify_column(complete.columns[-1], found.notes)
    rows, notes = list(zip(*complete.columns[:-1], names, strict=True)), found.notes
    if without := len(found.rows) - len(complete.rows):
        left_out = format_counted(without, f"row of {table.name} has", f"rows of {table.name} have")
        notes.append(f"{left_out} no text or no label and {'is' if without == 1 else 'are'} left out")
    limit = limit or own.tasks
    if limit is not None and limit < len(rows):
        drawn = random.Random(_SEED).sample(range(len(rows)), limit)  # noqa: S311  # data, not a secret
        rows = [rows[place] for place in sorted(drawn)]
    config, title = recipe.label_config, recipe.description.title
    if data:
        labels = sorted({row[-1] for row in rows})
        _refuse_unusable(table, label, labels)
        notes += describe_odd_labels(labels)
        config, title = _with_labels(config, recipe.description.control, labels), table.stem[:_LONGEST_NAME]
    return RecipeTasks(
        title=f"{title} (hitl demo)",
        label_config=config,
        tasks=[dict(zip(columns, row[:-1], strict=True)) for row in rows],
        truth=[row[-1] for row in rows],
        control=recipe.description.control,
        files=own.files,
        folder=table.parent,
        notes=tuple(notes),
    )


def _make_table(recipe: Recipe, work: Path) -> Path:
    data = recipe.description.data
    if data.file:
        return recipe.folder / data.file
    path = recipe.folder / data.generate
    try:
        module: dict[str, Any] = runpy.run_path(str(path), run_name=f"hitl_recipe_{recipe.name}")
        module["generate"](work, seed=_SEED)
    except Exception as error:  # somebody's own code, which they named
        hint = "It needs `generate(folder, *, seed)`, which writes data.csv and its files into the folder."
        raise RecipeError(f"{path} failed: {type(error).__name__}: {error}.", hint=hint) from error
    return work / "data.csv"


def _find_table(data: str) -> Path:
    """Return the file that --data means: a file, the one CSV file of a folder, or a data set by name."""
    path = Path(data)
    sets = os.environ.get(DATA_SETS, "")
    if not path.exists() and sets and (Path(sets) / data).is_dir():
        path = Path(sets) / data
    if not path.is_dir():
        return path
    tables = sorted(path.glob("*.csv"))
    if len(tables) != 1:
        what = f"{path} has {format_counted(len(tables), 'CSV file', 'CSV files')}; wanted one."
        raise RecipeError(what, hint="Name the file itself: --data FOLDER/FILE.csv.")
    return tables[0]


def _with_labels(config: str, control: str, labels: Sequence[str]) -> str:
    """Return a label config in which the choices of a control are these labels."""
    root = ET.fromstring(config)  # noqa: S314  # nosec B314  # parsed before, and bounded, by read_label_config
    named = {value: element for element in root.iter() for key, value in element.items() if key.lower() == "name"}
    tag = named[control]
    kind = next((child.tag for child in tag), "Choice")
    for child in list(tag):
        tag.remove(child)
    for name in labels:
        ET.SubElement(tag, kind, value=name)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode")


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
