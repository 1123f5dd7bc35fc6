"""hitl overrides: where people changed predictions, and why."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from feedback.app.bootstrap import opened_project
from feedback.cli.arguments import AsJson, Project
from feedback.cli.terminal import echo, print_json, print_table, write_output

if TYPE_CHECKING:
    from feedback.store import OverrideRow

_SPREADSHEET = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would run such a text as a formula
_MAX_PAIRS = 20


def overrides(
    project: Project,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Write all rows to this CSV file; - is standard output.")
    ] = None,
    kept: Annotated[bool, typer.Option("--kept", help="Also write answers that are equal to the prediction.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show or export the human answers that differ from the prediction, with their reasons."""
    with opened_project(project) as (store, row):
        rows = store.overrides.list_overrides(row.id)
    chosen = [row for row in rows if kept or row.changed]
    if csv_file is None:
        if as_json:
            print_json(chosen)
        else:
            _print(rows)
        return
    text = io.StringIO()
    _write(chosen, text)
    if write_output(csv_file, text.getvalue()):
        echo(f"{len(chosen)} rows written to {csv_file}.")


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


def _print(rows: list[OverrideRow]) -> None:
    from collections import Counter

    from feedback.review.overrides import share_without_reason
    from feedback.review.review_task_content import format_answer
    from feedback.stats.intervals import wilson

    if not rows:
        echo("No answer to a task with a prediction yet.")
        return
    seen, unseen = [row for row in rows if not row.blind], [row for row in rows if row.blind]
    changed, other = ([row for row in part if row.changed] for part in (seen, unseen))
    if seen:
        share = wilson(len(changed), len(seen))
        echo(f"People changed {len(changed)} of {len(seen)} answers to a prediction that they saw: {share}")
    else:
        echo("Nobody has answered a task with its prediction on screen yet.")
    if unseen:
        share = wilson(len(other), len(unseen))
        echo(
            "People who saw no prediction gave another answer than the model in "
            f"{len(other)} of {len(unseen)}: {share}. They change nothing, and --csv marks them as blind."
        )
    bare, all_of_them = share_without_reason(seen)
    if all_of_them:
        echo(f"Without a reason: {bare} of {all_of_them}")
    reasons: dict[tuple[str, str], Counter[str]] = {}
    for row in changed:
        reasons.setdefault((format_answer(row.shown), format_answer(row.answer)), Counter())[row.reason] += 1
    most = sorted(reasons.items(), key=lambda pair: -pair[1].total())[:_MAX_PAIRS]
    print_table(
        {"from": shown, "to": answer, "times": given.total(), "most frequent reason": given.most_common(1)[0][0]}
        for (shown, answer), given in most
    )
