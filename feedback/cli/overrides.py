"""hitl overrides: where people changed predictions, and why."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from feedback.app.bootstrap import opened_project
from feedback.cli.arguments import AsJson, Project
from feedback.cli.terminal import echo, print_json, print_table, write_output
from ml_backend.number_format import format_counted

if TYPE_CHECKING:
    from feedback.store import OverrideRow

_SPREADSHEET = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run such a text as a formula
_MEANING = (
    "What people change is not how often a model is wrong: the queue asks hard tasks first, and people tend to accept "
    "what they see. Audit tasks are drawn at random and answered without a prediction, so they tell."
)


def overrides(
    project: Project,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write all rows to this CSV file; - is standard output.")
    ] = None,
    kept: Annotated[
        bool,
        typer.Option("--kept", help="Also write answers equal to the prediction, and those of people who saw none."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show or export the human answers that differ from the prediction, with their reasons."""
    from feedback.reports.review_report import measure_overrides

    with opened_project(project) as (store, row):
        rows, figures = store.overrides.list_overrides(row.id), measure_overrides(store, row)
    chosen = [row for row in rows if kept or (row.changed and not row.blind)]
    if csv_file is None:
        if as_json:
            print_json(figures | {"rows": chosen})
        else:
            _print(figures)
        return
    text = io.StringIO()
    _write(chosen, text)
    if write_output(csv_file, text.getvalue()):
        echo(f"{format_counted(len(chosen), 'row', 'rows')} written to {csv_file}.")


def _write(rows: Iterable[OverrideRow], target: TextIO) -> None:
    from feedback.store import OverrideRow

    names = [item.name for item in fields(OverrideRow) if item.name != "annotation_version"]
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_cell(getattr(row, name)) for name in names])


def _cell(value: object) -> object:
    """Return a value for a spreadsheet, with texts of people quoted so that they are never formulas."""
    from feedback.review.review_task_content import format_answer
    from ml_backend.records import Answer

    shown = format_answer(value) if isinstance(value, Answer) else value
    return f"'{shown}" if isinstance(shown, str) and shown.startswith(_SPREADSHEET) else shown


def _print(found: Mapping[str, Any]) -> None:
    from feedback.reports.figures import figure_text
    from ml_backend.number_format import UNKNOWN, format_count, format_counted

    if not found["models"]:
        echo("No answer to a task with a prediction yet.")
        return
    print_table(
        {
            "model": row["model"],
            "right on audit tasks": figure_text(row["accuracy"]) if row["accuracy"] else UNKNOWN,
            "changed by people": figure_text(row["changed"]) if row["changed"] else UNKNOWN,
        }
        for row in found["models"]
    )
    echo(_MEANING)
    if found["blind"]:
        counted = format_counted(found["blind"], "answer of people who saw", "answers of people who saw")
        echo(f"{counted} no prediction changed nothing; --csv --kept writes them, marked as blind.")
    if changed := sum(row["count"] for row in found["reasons"]):
        echo(f"Without a reason: {format_count(found['without_reason'])} of {format_count(changed)}")
    print_table(
        {"from": pair["from"], "to": pair["to"], "times": format_count(pair["count"]), "reason": pair["reason"]}
        for pair in found["pairs"]
    )
