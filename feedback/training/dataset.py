"""What people agreed on, as rows with a role: the only thing that models learn from and are judged by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_backend.records import INDICATORS_KEY, Answer


@dataclass(frozen=True, slots=True)
class Settled:
    """A task's answer, as people settled it."""

    task: int
    answer: Answer
    votes: int  # people who answered
    support: float  # share of them who gave this answer, (0, 1]
    annotations: tuple[int, ...]  # the answers behind it
    confidence: float = 1.0  # probability that it is right, as far as votes tell
    weight: float = 1.0  # in training


@dataclass(frozen=True, slots=True)
class Row:
    """One settled task as a training or audit row."""

    task: int
    role: str  # "train", "tune", "judge" or "certify"
    label: str
    data: Mapping[str, Any] = field(hash=False)
    annotations: tuple[int, ...] = ()
    weight: float = 1.0  # of a training row; audit rows count whole


@dataclass(frozen=True, slots=True)
class Dataset:
    """All rows of a project for one control; `fingerprint` names the training part exactly."""

    control: str
    rows: tuple[Row, ...]
    fingerprint: str

    @property
    def audit(self) -> list[Row]:
        """Rows of the audit stream."""
        return self.of("tune", "judge", "certify")

    def of(self, *roles: str) -> list[Row]:
        """Rows with one of these roles, by task id."""
        return [row for row in self.rows if row.role in roles]


def build(
    control: str,
    labels: Sequence[str],
    settled: Sequence[Settled],
    task_data: Mapping[int, Any],
    roles: Mapping[int, str],
) -> Dataset:
    """Join settled answers, task data and roles; an answer that the label config no longer knows is left out.

    Rows are ordered by task id, so equal input gives an equal fingerprint whatever came first.
    """
    known = set(labels)
    rows = []
    for item in sorted(settled, key=lambda item: item.task):
        label = single_label(item.answer)
        if label in known and item.task in task_data:
            rows.append(Row(item.task, roles[item.task], label, task_data[item.task], item.annotations, item.weight))
    digest = hashlib.sha256(control.encode())
    for row in rows:
        if row.role in ("train", "tune"):
            digest.update(f"\n{row.task}\t{row.role}\t{row.label}".encode())
        if row.role == "train" and row.weight < 1.0:
            digest.update(f"\t{row.weight}".encode())
        if row.role in ("train", "tune") and (indicators := row.data.get(INDICATORS_KEY)):
            digest.update(f"\t{json.dumps(indicators, sort_keys=True)}".encode())
    return Dataset(control, tuple(rows), digest.hexdigest())


def single_label(answer: Answer) -> str | None:
    """The one label of a single-choice answer; None for anything else."""
    value = answer.value
    return value[0] if answer.kind == "choices" and isinstance(value, tuple) and len(value) == 1 else None
