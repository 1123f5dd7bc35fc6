"""Consensus labels as rows with a role: the only thing that models learn from and are judged by."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import Any

from feedback.project.incremental_caches import Changes, RecentProjects, changed_since
from feedback.project.label_changes import dropped_labels, labels_in
from feedback.project.snapshot import ProjectSnapshot
from feedback.project.task_cache import merged
from feedback.store import Vote
from feedback.store.database.engine import without_garbage_collection
from ml_backend.label_config import Control
from ml_backend.left_out import name_some
from ml_backend.plugins import REGION_CODECS
from ml_backend.records import INDICATORS_KEY, Answer

_MODULUS = 1 << 256
_task_of = attrgetter("task")


@dataclass(frozen=True, slots=True)
class ConsensusLabel:
    """A task's answer, as people settled it, or as it was imported with the task."""

    task: int
    answer: Answer
    votes: int  # people who answered
    support: float  # share of them who gave this answer, (0, 1]
    annotations: tuple[int, ...]  # the answers behind it
    confidence: float = 1.0  # probability that it is right, as far as votes tell
    weight: float = 1.0  # in training
    source: str = "person"  # "import": it teaches, and measures nothing


@dataclass(frozen=True, slots=True)
class Row:
    """One settled task as a training or audit row."""

    task: int
    role: str  # "train", "tune", "judge" or "certify"
    label: str
    data: Mapping[str, Any] = field(hash=False)
    annotations: tuple[int, ...] = ()
    weight: float = 1.0  # of a training row; audit rows count whole
    source: str = "person"  # or "import", of training rows alone


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
    def n_imported(self) -> int:
        """Return how many training rows were imported with their tasks."""
        return sum(row.source == "import" for row in self._by_role.get("train", ()))

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


def list_imported_labels(
    snapshot: ProjectSnapshot, *, only: Collection[int] | None = None, without: Collection[int] = ()
) -> list[ConsensusLabel]:
    """Return the labels that were imported with tasks, by task, where the policy lets models learn from them.

    One answer of a person is enough to replace what was imported. Several imported answers to a task must have a
    majority. `only` are the tasks to look at, `without` those that review has taken over.
    """
    if snapshot.policy.imports.use != "train":
        return []
    found, voted = list[ConsensusLabel](), snapshot.votes_by_task
    for task in snapshot.imports if only is None else sorted(snapshot.imports.keys() & only):
        if task in voted or task in without:
            continue
        given = snapshot.imports[task]
        if (answer := majority(given)) is not None:
            share = sum(vote.answer == answer for vote in given) / len(given)
            annotations = tuple(sorted(vote.annotation for vote in given))
            found.append(
                ConsensusLabel(task, answer, 0, share, annotations, share, weight=round(share, 2), source="import")
            )
    return found


def majority(votes: Sequence[Vote]) -> Answer | None:
    """Return the answer that leads; None where several do."""
    if len(votes) == 1:
        return votes[0].answer  # as nearly always; a quiet turn asks it of every imported task
    leaders = Counter(vote.answer for vote in votes).most_common(2)
    return None if len(leaders) > 1 and leaders[0][1] == leaders[1][1] else leaders[0][0]


def why_not_learned(answer: Answer, labels: Collection[str], *, place: str = "in the label config") -> str:
    """Return why an answer is no row, in a few words; "" where it is one. `place` says where its label should be.

    >>> why_not_learned(Answer("choices", ("a", "b")), ["a", "b"]), why_not_learned(Answer("choices", ("c",)), ["a"])
    ('several labels at once', "the label 'c' is not in the label config")
    """
    name = single_label(answer)
    if name is not None:
        return "" if name in labels else f"the label {name[:40]!r} is not {place}"
    if dropped := dropped_labels(answer, labels):
        return f"the label {dropped[0][:40]!r} is not {place}"
    if answer.kind != "choices":
        return f"answers of the type {answer.kind}"
    return "several labels at once" if answer.value else "no label"


def why_impossible(answer: Answer, control: Control, labels: Sequence[str]) -> str:
    """Return why nobody can give this answer, in a few words; "" where people can. `labels` are those of the task.

    >>> choice = Control("c", "t", "choices", ("a", "b"), False, "text", "text")
    >>> why_impossible(Answer("choices", ("a", "b")), choice, choice.labels)
    "2 labels, but 'c' takes one"
    """
    used = labels_in(answer) if answer.kind in ("choices", *REGION_CODECS) else set()
    if labels and (unknown := sorted(map(str, used.difference(labels)))):
        return f"{unknown[0][:40]!r} is not a label; {control.name!r} has {name_some(labels, most=12)}"
    if answer.kind == "choices" and len(used) > 1 and not control.multiple:
        return f"{len(used)} labels, but {control.name!r} takes one"
    return ""


def count_not_learned(snapshot: ProjectSnapshot) -> dict[str, int]:
    """Return how many votes can never give a row, by reason, the most frequent first."""
    labels_of, options = _labels_of(snapshot.control), snapshot.control.options
    place = "among the options of its task" if options else "in the label config"
    found = Counter(
        why_not_learned(vote.answer, labels_of(snapshot.tasks[vote.task].data), place=place) for vote in snapshot.votes
    )
    return {reason: count for reason, count in found.most_common() if reason}


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
    def build(
        self,
        snapshot: ProjectSnapshot,
        settled: Sequence[ConsensusLabel],
        changes: Changes,
        *,
        withheld: Collection[int] = (),
    ) -> Dataset:
        """Return the data set of these labels, of which `changes` says what differs from the ones before.

        Imported labels are training rows where nobody has answered, except on tasks that are `withheld` for review.
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
                new = [label for label in settled if label.task in changed]
                made = _updated(kept, snapshot, _with_imported(snapshot, new, withheld, changed), changes, changed)
        else:
            made = _all(snapshot, _with_imported(snapshot, settled, withheld), changes, control)
        self._kept.put(snapshot.project.id, made, size=len(made.rows))
        return made.dataset


def _with_imported(
    snapshot: ProjectSnapshot,
    settled: Sequence[ConsensusLabel],
    withheld: Collection[int],
    only: Collection[int] | None = None,
) -> Sequence[ConsensusLabel]:
    """Return the labels of people with those that were imported, by task."""
    if not snapshot.imports:
        return settled
    without = {*withheld, *map(_task_of, settled)}
    return sorted([*settled, *list_imported_labels(snapshot, only=only, without=without)], key=_task_of)


def _all(
    snapshot: ProjectSnapshot,
    labels: Sequence[ConsensusLabel],
    changes: Changes,
    control: Control,
) -> _Kept:
    rows = _rows_of(snapshot, labels)
    digests = {task: _row_digest(row) for task, row in rows.items()}
    total = sum(digests.values()) % _MODULUS
    dataset = Dataset(control.name, tuple(rows.values()), _fingerprint(control.name, total), Changes.everything())
    return _Kept(control, changes, snapshot.changes, rows, digests, total, dataset)


def _updated(
    kept: _Kept,
    snapshot: ProjectSnapshot,
    labels: Sequence[ConsensusLabel],
    changes: Changes,
    changed: frozenset[int],
) -> _Kept:
    new = _rows_of(snapshot, labels)
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


def _rows_of(snapshot: ProjectSnapshot, labels: Sequence[ConsensusLabel]) -> dict[int, Row]:
    labels_of, found = _labels_of(snapshot.control), dict[int, Row]()
    for label in labels:
        data = snapshot.data(label.task) if label.task in snapshot.tasks else None
        row = _row(label, labels_of, snapshot.roles, data)
        if row is not None:
            found[label.task] = row
    return found


def _labels_of(control: Control) -> Callable[[Mapping[str, Any]], Collection[str]]:
    """Return what gives the labels that may be chosen on a task, from its data."""
    labels = frozenset(control.labels)
    return control.options_of if control.options else lambda _data: labels


def _row(
    label: ConsensusLabel,
    labels_of: Callable[[Mapping[str, Any]], Collection[str]],
    roles: Mapping[int, str],
    data: Mapping[str, Any] | None,
) -> Row | None:
    name = single_label(label.answer)
    if name is None or data is None or name not in labels_of(data):
        return None
    role = roles[label.task]
    if label.source == "import" and role != "train":
        return None
    return Row(label.task, role, name, data, label.annotations, label.weight, label.source)


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
