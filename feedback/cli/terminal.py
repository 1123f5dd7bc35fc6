"""The output of sub-commands: lines, JSON and tables, without control characters."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import typer

from feedback.errors import FileError, NotConfirmed
from ml_backend.printable import NOT_ASCII_CONTROLS, PrintableStream, printable

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_WIDTH = 120  # columns of a table when the width is unknown
_NOT_ASCII_CONTROLS = re.compile(f"[{NOT_ASCII_CONTROLS}]")


def echo(line: object = "", *, errors: bool = False, **styles: Any) -> None:
    """Print one line; a line feed or another control character inside is shown as its escape.

    `styles` are those of `typer.style`, such as bold; a pipe gets none.
    """
    typer.secho(printable(line), err=errors, **styles)  # noqa: TID251 - the only use


def confirm(question: str, *, yes: bool) -> None:
    """Go on if `yes`, or if somebody at the terminal agrees; NotConfirmed where there is no terminal to ask on."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise NotConfirmed(f"nothing was done, because nobody can be asked: {question}")
    typer.confirm(printable(question), abort=True, err=True)


def screen(*, errors: bool = False) -> Console:
    """Return a console on standard output or standard error that prints "[/x]", ":b:" and escape sequences as text."""
    stream = sys.stderr if errors else sys.stdout
    if isinstance(stream, PrintableStream):
        stream.announce()  # the console writes past it
    return make_console(errors=errors)


def make_console(*, errors: bool) -> Console:
    """Return such a console for the progress of a command, which is itself nothing printed."""
    # reason: rich takes 50 ms to import, and most commands print lines
    from feedback.cli.console import PrintableConsole

    stream = sys.stderr if errors else sys.stdout
    # the console cleans what it prints, and its own codes move the cursor of progress bars
    raw = stream.raw if isinstance(stream, PrintableStream) else None
    console = PrintableConsole(file=raw, stderr=errors, markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    return console


def write_output(path: Path, text: str) -> bool:
    """Write a text as UTF-8 to a file, or to standard output where the path is "-"; return whether it was a file.

    FileError if the file cannot be written.
    """
    if str(path) == "-":
        for line in text.removesuffix("\n").split("\n"):
            echo(line)
        return False
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}.", hint="Give another file.") from error
    return True


def print_json(found: object) -> None:
    """Print what `json_text` returns."""
    for line in json_text(found).splitlines():
        echo(line)


def json_text(found: object) -> str:
    """Return records, mappings and lists as lines of JSON; a number that is NaN or infinite becomes null."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    text = orjson.dumps(found, default=dict, option=options).decode()
    # JSON escapes the controls of ASCII; the others are escaped here, so that the value is the same to a reader
    return _NOT_ASCII_CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def print_found(found: object, lines: Iterable[str], *, as_json: bool, empty: str = "") -> None:
    """Print what was found as JSON, or in these lines; `empty` says in words that there are none."""
    if as_json:
        print_json(found)
        return
    for line in list(lines) or filter(None, [empty]):
        echo(line)


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
