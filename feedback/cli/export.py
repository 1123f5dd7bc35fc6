"""hitl export: the labels of a project as a set for fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from feedback.app.bootstrap import opened_project
from feedback.cli.arguments import AsJson, Project
from feedback.cli.terminal import print_found, write_output
from ml_backend.number_format import format_count, format_counted


def export(
    project: Project,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="FILE.csv, or FILE.jsonl; - is standard output.")],
    as_json: AsJson = False,
) -> None:
    """Write the training labels with their task data, their source, and what the model had predicted.

    Audit tasks are left out: they measure models.
    """
    from feedback.reports.training_export import list_training_examples, to_csv, to_json_lines

    with opened_project(project) as (store, row):
        examples, n_audit = list_training_examples(store, row)
    text = to_json_lines(examples) if file.suffix == ".jsonl" else to_csv(examples)
    if write_output(file, text):
        predicted = sum(example.prediction is not None for example in examples)
        written = f"{format_counted(len(examples), 'row', 'rows')} written to {file}"
        found = {"file": str(file), "rows": len(examples), "with_prediction": predicted, "audit_left_out": n_audit}
        left_out = f"{format_counted(n_audit, 'audit row', 'audit rows')} left out"
        line = f"{written}, {format_count(predicted)} with a prediction; {left_out}."
        print_found(found, [line], as_json=as_json)
