"""Facts: everything that a rule may look at, for many tasks at one moment, as columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedback.policy.calendars import open_calendars
from feedback.policy.conditions import Table
from feedback.policy.decision import make_data_reader
from feedback.project.snapshot import ProjectSnapshot
from feedback.store import NewestSignal, Skip
from feedback.store.log.projections import epoch_s
from feedback.training.model_cache import Committee, Floats, PredictionCache
from ml_backend.records import Answer, Task
from ml_backend.registry import Bundle

Column = Sequence[Any]
SignalValues = Mapping[int | None, Mapping[str, NewestSignal]]  # task -> signal -> what it says now; None: the whole project


class RuleInputs:
    """What is known of n tasks now: `table` for the rules, `inputs` as a decision records them."""

    def __init__(
        self, tasks: Sequence[Task], columns: Mapping[str, Column], heard: SignalValues, *, now_s: float
    ) -> None:
        self._tasks = tasks
        self._columns = columns
        self._heard = heard
        self._now_s = now_s

    @property
    def table(self) -> Table:
        """The facts as the columns of a table; a column is made when a rule first asks for it."""
        return Table(len(self._tasks), self.column)

    def column(self, field: str) -> Column:
        """(n,) the values of a field, None where missing."""
        if field in self._columns:
            return self._columns[field]
        source, _, rest = field.partition(".")
        if source == "data":
            read = make_data_reader(rest)
            return [read(task.data) for task in self._tasks]
        if source == "signal":
            return self._signal(*rest.partition(".")[::2])
        return [None] * len(self._tasks)

    def data(self, row: int) -> Mapping[str, Any]:
        """The data of one task."""
        return self._tasks[row].data

    def inputs(self, row: int) -> dict[str, Any]:
        """All facts of one task but its data, by field; what is missing is left out."""
        found = {name: column[row] for name, column in self._columns.items() if column[row] is not None}
        for name, one in self._of(self._tasks[row].id).items():
            found[f"signal.{name}"] = one.value
            found[f"signal.{name}.count"] = one.count
            found[f"signal.{name}.age"] = self._age(one)
        return found

    def _signal(self, name: str, part: str) -> Column:
        everywhere = self._heard.get(None, {}).get(name)
        ones = (self._heard.get(task.id, {}).get(name, everywhere) for task in self._tasks)
        if part == "count":
            return [one.count if one else 0 for one in ones]
        if part == "age":
            return [self._age(one) if one else None for one in ones]
        return [one.value if one else None for one in ones]

    def _of(self, task: int) -> Mapping[str, NewestSignal]:
        return {**self._heard.get(None, {}), **self._heard.get(task, {})}

    def _age(self, one: NewestSignal) -> float:
        return round(max(0.0, self._now_s - one.at_s), 3)


def load_rule_inputs(
    snapshot: ProjectSnapshot,
    tasks: Sequence[int],
    *,
    champion: Bundle | None,
    prediction_cache: PredictionCache,
    committee: Committee | None,
    skips: Sequence[Skip],
    heard: SignalValues,
    now_s: float,
) -> RuleInputs:
    """Bring together what the model, people, senders of signals and the clock say of these tasks.

    Without a committee `model.disagreement` is missing: it costs a prediction of each member.
    """
    columns: dict[str, Column] = {}
    if champion is not None:
        proba = prediction_cache.proba(champion, snapshot, tasks)
        columns |= _model(champion, [proba[task] for task in tasks])
        if committee is not None:
            against = committee.disagreement(champion, prediction_cache, snapshot, tasks)
            columns["model.disagreement"] = [against.get(task) for task in tasks]
    columns |= _history(snapshot, tasks, skips)
    rows = [snapshot.tasks[task] for task in tasks]
    today = datetime.fromtimestamp(now_s, UTC).date().isoformat()
    columns["time.age"] = [_age_s(task, now_s) for task in rows]
    columns["time.date"] = [today] * len(rows)
    if snapshot.policy.calendars:
        columns["time.within"] = [tuple(open_calendars(snapshot.policy.calendars, now_s))] * len(rows)
    return RuleInputs(rows, columns, heard, now_s=now_s)


def _model(champion: Bundle, proba: Sequence[Floats]) -> dict[str, Column]:
    """What the champion says; nothing of tasks that it cannot read."""
    if not proba or not champion.classes:
        return {}
    table = np.vstack(proba)  # (n, k)
    readable = ~np.isnan(table[:, 0])
    table = np.nan_to_num(table)
    best = table.argmax(axis=1)
    confidence = table[np.arange(len(table)), best]
    second = np.sort(table, axis=1)[:, -2] if table.shape[1] > 1 else np.zeros(len(table))
    labels = [champion.classes[place] for place in best.tolist()]
    return {
        "model.label": _where(readable, labels),
        "model.confidence": _where(readable, confidence.round(6).tolist()),
        "model.margin": _where(readable, (confidence - second).round(6).tolist()),
    }


def _history(snapshot: ProjectSnapshot, tasks: Sequence[int], skips: Sequence[Skip]) -> dict[str, Column]:
    said: dict[int, list[Answer]] = {}
    for vote in snapshot.votes:
        said.setdefault(vote.task, []).append(vote.answer)
    skipped = Counter(skip.task for skip in skips)
    return {
        "history.votes": [len(said.get(task, ())) for task in tasks],
        "history.support": [_support(said[task]) if task in said else None for task in tasks],
        "history.skips": [skipped[task] for task in tasks],
    }


def _support(answers: Sequence[Answer]) -> float:
    return round(max(Counter(answers).values()) / len(answers), 6)


def _age_s(task: Task, now_s: float) -> float | None:
    made_s = epoch_s(task.created_at)
    return round(max(0.0, now_s - made_s), 3) if made_s else None


def _where(readable: NDArray[np.bool_], values: Sequence[Any]) -> Column:
    return [value if known else None for value, known in zip(values, readable.tolist(), strict=True)]
