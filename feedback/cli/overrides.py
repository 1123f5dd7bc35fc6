"""hitl overrides: where people changed what the model said, and why."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from feedback.cli.arguments import Project
from feedback.cli.terminal import screen

if TYPE_CHECKING:
    from feedback.store import OverrideRow

_SPREADSHEET = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run as a formula


def overrides(
    project: Project,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write all of them here; - for the terminal.")] = None,
    kept: Annotated[
        bool, typer.Option("--kept", help="Answers that kept the model's, too: what a rate is of.")
    ] = False,
) -> None:
    """Show or export each human answer that differs from the model's, with its reason."""
    from feedback.app.bootstrap import known_project, opened, settings_from_environment
    from feedback.errors import VotesError

    with opened(settings_from_environment()) as store:
        known_project(store, project)
        rows = store.overrides.list_overrides(project, changed=None)
    chosen = [row for row in rows if kept or row.changed]
    if csv_file is None:
        _print(rows)
    elif str(csv_file) == "-":
        _write(chosen, sys.stdout)
    else:
        try:
            with csv_file.open("w", encoding="utf-8", newline="") as target:
                _write(chosen, target)
        except OSError as error:
            raise VotesError(f"{csv_file} cannot be written: {error.strerror}.", hint="Give another file.") from error
        typer.echo(f"{len(chosen)} rows written to {csv_file}.")


def _write(rows: Iterable[OverrideRow], target: TextIO) -> None:
    from feedback.store import OverrideRow

    names = [one.name for one in fields(OverrideRow) if one.name != "seen"]
    writer = csv.writer(target)
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in names])


def _cell(value: object) -> object:
    """A value as a spreadsheet may hold it; what people wrote is never a formula."""
    from feedback.review.review_task_content import format_answer
    from ml_backend.records import Answer

    shown = format_answer(value) if isinstance(value, Answer) else value
    return f"'{shown}" if isinstance(shown, str) and shown.startswith(_SPREADSHEET) else shown


def _print(rows: list[OverrideRow]) -> None:
    from collections import Counter

    from rich.table import Table

    from feedback.review.overrides import share_without_reason
    from feedback.review.review_task_content import format_answer
    from feedback.stats.intervals import wilson

    if not rows:
        typer.echo("No answer is known yet on which the model had an opinion.")
        return
    changed = [row for row in rows if row.changed]
    typer.echo(f"People changed {len(changed)} of {len(rows)} answers: {wilson(len(changed), len(rows))}")
    bare, all_of_them = share_without_reason(rows)
    if all_of_them:
        typer.echo(f"Without a reason: {bare} of {all_of_them}")
    table = Table("from", "to", "times", "most frequent reason")
    pairs = Counter((format_answer(row.shown), format_answer(row.said)) for row in changed)
    for (shown, said), count in pairs.most_common(20):
        reasons = Counter(
            row.reason for row in changed if (format_answer(row.shown), format_answer(row.said)) == (shown, said)
        )
        table.add_row(shown, said, str(count), reasons.most_common(1)[0][0])
    if changed:
        screen().print(table)
