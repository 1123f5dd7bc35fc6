"""Consensus labels as rows with a role: the only thing that models learn from and are judged by."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import Any

from feedback.project.incremental_caches import Changes, RecentProjects, changed_since
from feedback.project.snapshot import ProjectSnapshot
from feedback.project.task_cache import merged
from feedback.store.database.engine import without_garbage_collection
from ml_backend.label_config import Control
from ml_backend.records import INDICATORS_KEY, Answer

_MODULUS = 1 << 256
_task_of = attrgetter("task")


@dataclass(frozen=True, slots=True)
class ConsensusLabel:
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


@dataclass(frozen=True)
class Dataset:
    """All rows of a project for one control; `fingerprint` names the training part exactly."""

    control: str
    rows: tuple[Row, ...]  # by task
    fingerprint: str
    changes: Changes = field(default=Changes(), compare=False, repr=False)

    @property
    def audit(self) -> list[Row]:
        """Return the rows of the audit stream."""
        return self.of("tune", "judge", "certify")

    def of(self, *roles: str) -> list[Row]:
        """Return the rows with one of these roles, by task id."""
        if len(roles) == 1:
            return list(self._by_role.get(roles[0], ()))
        return [row for row in self.rows if row.role in roles]

    def count(self, *roles: str) -> int:
        """Return the number of rows with one of these roles."""
        return sum(len(self._by_role.get(role, ())) for role in roles)

    def find(self, tasks: Collection[int]) -> list[Row]:
        """Return the rows of these tasks, by task id, without a look at the others."""
        places = ((task, bisect_left(self.rows, task, key=_task_of)) for task in sorted(tasks))
        return [self.rows[at] for task, at in places if at < len(self.rows) and self.rows[at].task == task]

    @cached_property
    def _by_role(self) -> Mapping[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.role, []).append(row)
        return found


def build(
    control: str,
    labels: Sequence[str],
    settled: Iterable[ConsensusLabel],
    task_data: Mapping[int, Any],
    roles: Mapping[int, str],
) -> Dataset:
    """Join consensus labels, task data and roles; an answer that the label config no longer has is left out.

    Rows are ordered by task id, so equal input gives an equal fingerprint in whatever order it comes.
    """
    known = set(labels)
    made = (_row(label, lambda _data: known, roles, task_data.get(label.task)) for label in settled)
    rows = sorted((row for row in made if row is not None), key=lambda row: row.task)
    total = sum(map(_row_digest, rows)) % _MODULUS
    return Dataset(control, tuple(rows), _fingerprint(control, total))


def single_label(answer: Answer) -> str | None:
    """Return the one label of a single-choice answer; None for anything else."""
    value = answer.value
    return value[0] if answer.kind == "choices" and isinstance(value, tuple) and len(value) == 1 else None


@dataclass(frozen=True, slots=True)
class _Kept:
    control: Control
    labels: Changes
    snapshot: Changes
    rows: dict[int, Row] = field(repr=False)
    digests: dict[int, int] = field(repr=False)  # of the rows that the fingerprint names
    total: int
    dataset: Dataset


class DatasetCache:
    """Keeps the data sets of the projects that were used last; only rows of changed tasks are rebuilt."""

    def __init__(self) -> None:
        self._kept = RecentProjects[_Kept]()

    @without_garbage_collection()
    def build(self, snapshot: ProjectSnapshot, settled: Sequence[ConsensusLabel], changes: Changes) -> Dataset:
        """Return the data set of these labels, of which `changes` says what differs from the ones before.

        Indicators are those of the snapshot. If a policy has any, all rows are rebuilt.
        """
        control = snapshot.control
        kept = self._kept.get(snapshot.project.id)
        changed = None
        if kept is not None and kept.control == control and not snapshot.policy.indicators:
            changed = changed_since((changes, kept.labels), (snapshot.changes, kept.snapshot))
        if kept is not None and changed is not None:
            made = replace(kept, labels=changes, snapshot=snapshot.changes)
            if changed:
                made = _updated(kept, snapshot, settled, changes, changed)
        else:
            made = _all(snapshot, settled, changes, control)
        self._kept.put(snapshot.project.id, made, size=len(made.rows))
        return made.dataset


def _all(
    snapshot: ProjectSnapshot,
    settled: Sequence[ConsensusLabel],
    changes: Changes,
    control: Control,
) -> _Kept:
    rows = _rows_of(snapshot, settled)
    digests = {task: _row_digest(row) for task, row in rows.items()}
    total = sum(digests.values()) % _MODULUS
    dataset = Dataset(control.name, tuple(rows.values()), _fingerprint(control.name, total), Changes.everything())
    return _Kept(control, changes, snapshot.changes, rows, digests, total, dataset)


def _updated(
    kept: _Kept,
    snapshot: ProjectSnapshot,
    settled: Sequence[ConsensusLabel],
    changes: Changes,
    changed: frozenset[int],
) -> _Kept:
    new = _rows_of(snapshot, [label for label in settled if label.task in changed])
    rows, total, digests = merged(kept.rows, new, changed), kept.total, dict(kept.digests)
    for task in changed:
        digest = _row_digest(new[task]) if task in new else 0
        total += digest - digests.pop(task, 0)
        if task in new:
            digests[task] = digest
    total %= _MODULUS
    control = kept.control
    dataset = Dataset(
        control.name, tuple(rows.values()), _fingerprint(control.name, total), kept.dataset.changes.then(changed)
    )
    return _Kept(control, changes, snapshot.changes, rows, digests, total, dataset)


def _rows_of(snapshot: ProjectSnapshot, settled: Iterable[ConsensusLabel]) -> dict[int, Row]:
    control, found = snapshot.control, dict[int, Row]()
    labels = frozenset(control.labels)
    labels_of = control.options_of if control.options else lambda _data: labels
    for label in settled:
        data = snapshot.data(label.task) if label.task in snapshot.tasks else None
        row = _row(label, labels_of, snapshot.roles, data)
        if row is not None:
            found[label.task] = row
    return found


def _row(
    label: ConsensusLabel,
    labels_of: Callable[[Mapping[str, Any]], Collection[str]],
    roles: Mapping[int, str],
    data: Mapping[str, Any] | None,
) -> Row | None:
    name = single_label(label.answer)
    if name is None or data is None or name not in labels_of(data):
        return None
    return Row(label.task, roles[label.task], name, data, label.annotations, label.weight)


def _row_digest(row: Row) -> int:
    """Return a number that names what a model learns of a row, or is calibrated on; 0 for other audit rows."""
    if row.role not in ("train", "tune"):
        return 0
    weight = f"\t{row.weight}" if row.role == "train" and row.weight < 1.0 else ""
    indicators = row.data.get(INDICATORS_KEY)
    suffix = f"\t{json.dumps(indicators, sort_keys=True)}" if indicators else ""
    text = f"{row.task}\t{row.role}\t{row.label}{weight}{suffix}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")


def _fingerprint(control: str, total: int) -> str:
    """Name a data set by its control and the sum of its rows' digests: a sum is brought up to date row by row."""
    return hashlib.sha256(f"{control}\n{total:x}".encode()).hexdigest()
