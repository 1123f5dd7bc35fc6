"""The arguments that sub-commands share, and their output: JSON, tables, and texts that are never taken for markup."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from feedback.errors import VotesError

if TYPE_CHECKING:
    from rich.console import Console

_NUMBER = "The project's number, as in its address in Label Studio: /projects/12/."
_PIPE_WIDTH = 120  # columns of a table when the width is unknown

Project = Annotated[str, typer.Argument(metavar="PROJECT", help=_NUMBER)]
OfProject = Annotated[str, typer.Option("--project", "-p", metavar="PROJECT", help=_NUMBER)]
Task = Annotated[int, typer.Argument(metavar="TASK", help="The id of the task in Label Studio.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def screen(*, errors: bool = False) -> Console:
    """Return a console on standard output or standard error that prints "[/x]" and ":b:" as they are."""
    from rich.console import Console

    console = Console(stderr=errors, markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    return console


def write_file(path: Path, text: str) -> None:
    """Write a text as UTF-8; VotesError if the file cannot be written."""
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise VotesError(f"{path} cannot be written: {error.strerror}.", hint="Give another file.") from error


def print_json(found: object) -> None:
    """Print records, mappings and lists as JSON; a number that is NaN or infinite becomes null."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    typer.echo(orjson.dumps(found, default=dict, option=options).decode())


def print_found(found: object, lines: Iterable[str], *, as_json: bool) -> None:
    """Print what was found as JSON, or in these lines."""
    if as_json:
        print_json(found)
        return
    for line in lines:
        typer.echo(line)


def print_table(rows: Iterable[Mapping[str, object]], *, title: str | None = None) -> None:
    """Print a table of rows with the same columns, or nothing without rows; a wide cell is wrapped and never cut."""
    from rich.table import Table

    table = Table(title=title)
    for row in rows:
        if not table.columns:
            for column in row:
                table.add_column(column, overflow="fold")
        table.add_row(*map(str, row.values()))
    if table.row_count:
        screen().print(table)
