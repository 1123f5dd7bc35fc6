"""The fine-tuning set of a project: its training labels, where they come from, and what the model had predicted."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from feedback.project.snapshot import load_counted_snapshot
from feedback.review.final_answers import FinalAnswerCache
from feedback.store import OverrideRow, ProjectRow, Store
from feedback.training.consensus_labels import ConsensusCache
from feedback.training.dataset import DatasetCache, single_label

PERSON, REVIEW, IMPORT = "person", "review", "import"  # where a label comes from


@dataclass(frozen=True, slots=True)
class TrainingExample:
    """One labelled task; prediction and confidence are None where no model had predicted before the answer."""

    task: int
    data: Mapping[str, Any]
    label: str
    source: str  # PERSON, REVIEW or IMPORT
    model: str | None
    prediction: str | None
    confidence: float | None


def list_training_examples(store: Store, project: ProjectRow) -> tuple[list[TrainingExample], int]:
    """Return the training rows of a project by task, and how many audit rows were left out: they measure models.

    Labels are those that models learn: consensus, and what review decided. The prediction is the one that the newest
    answer is compared with (`OverrideRow`). LabelConfigError if the label config cannot be read.
    """
    snapshot, final_answers = load_counted_snapshot(store, project, project.policy), FinalAnswerCache()
    final = final_answers.load(store, snapshot)
    labels = final_answers.apply(ConsensusCache().decide(snapshot), final, snapshot)
    dataset = DatasetCache().build(snapshot, labels.settled, labels.changes, withheld=final.withheld)
    compared = _newest(store.overrides.list_overrides(project.id))
    found = []
    for row in dataset.of("train"):
        source = IMPORT if row.source == "import" else REVIEW if row.task in final.cases else PERSON
        by_model = compared.get(row.task)
        shown = by_model.shown if by_model else None
        found.append(
            TrainingExample(
                row.task,
                snapshot.tasks[row.task].data,
                row.label,
                source,
                by_model.model if by_model else None,
                single_label(shown) if shown else None,
                by_model.confidence if by_model else None,
            )
        )
    return found, len(dataset.audit)


def _newest(rows: Iterable[OverrideRow]) -> dict[int, OverrideRow]:
    """Return the newest comparison of each task in which a model had an answer."""
    return {row.task: row for row in sorted(rows, key=lambda row: row.at_s) if row.shown is not None}


def to_json_lines(examples: Sequence[TrainingExample]) -> str:
    """Return one JSON object a line."""
    return "".join(f"{orjson.dumps(example).decode()}\n" for example in examples)


def to_csv(examples: Sequence[TrainingExample]) -> str:
    """Return a table with one column a task field, `data.FIELD`; values that are no text or number are JSON."""
    fields = list(dict.fromkeys(name for example in examples for name in example.data))
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(
        ["task", *(f"data.{name}" for name in fields), "label", "source", "model", "prediction", "confidence"]
    )
    for example in examples:
        data = [_cell(example.data.get(name)) for name in fields]
        by_model = (example.model, example.prediction, example.confidence)
        rows.writerow([example.task, *data, example.label, example.source, *by_model])
    return text.getvalue()


def _cell(value: object) -> object:
    return value if value is None or isinstance(value, (str, int, float)) else orjson.dumps(value).decode()
