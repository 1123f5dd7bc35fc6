"""Rule inputs: the values of all fields that rules may test, as columns, of tasks now or as decisions recorded them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feedback.policy import Policy
from feedback.policy.calendars import open_calendars
from feedback.policy.conditions import Table
from feedback.policy.rule_matching import AUDIT, GOLD, SAMPLE, Router, make_data_reader, make_lookup
from feedback.policy.simulate import TASKS_NOW, TaskHistory
from feedback.project.snapshot import ProjectSnapshot, load_counted_snapshot
from feedback.store import NewestSignal, ProjectRow, Skip, Store, Vote
from feedback.store.log.projections import epoch_s
from feedback.training.model_cache import ChampionCache, Committee, Floats, PredictionCache
from feedback.training.model_factory import ModelFactory
from ml_backend.records import Task
from ml_backend.registry import Bundle

Column = Sequence[Any]
RANK = "model.uncertainty_rank"
_SAMPLES = {"train": None, "gold": GOLD}  # by role; the other roles are splits of the audit
SignalValues = Mapping[int | None, Mapping[str, NewestSignal]]  # task (None: the whole project) -> signal -> value


class RuleInputs:
    """The inputs of the rules for n tasks: `table` for the router, `inputs` as a decision records them."""

    def __init__(
        self, tasks: Sequence[Task], columns: Mapping[str, Column], signals: SignalValues, *, now_s: float
    ) -> None:
        self._tasks = tasks
        self._columns = columns
        self._signals = signals
        self._now_s = now_s

    @property
    def table(self) -> Table:
        """Return the inputs as a table; a column is computed when a rule first needs it."""
        return Table(len(self._tasks), self.column)

    def column(self, field: str) -> Column:
        """Return the values of a field, shape (n,); None where missing."""
        if field in self._columns:
            return self._columns[field]
        source, _, rest = field.partition(".")
        if source == "data":
            read = make_data_reader(rest)
            return [read(task.data) for task in self._tasks]
        if source == "signal":
            return self._signal_column(*rest.partition(".")[::2])
        return [None] * len(self._tasks)

    def data(self, row: int) -> Mapping[str, Any]:
        """Return the data of one task."""
        return self._tasks[row].data

    def inputs(self, row: int) -> dict[str, Any]:
        """Return all inputs of one task except its data, by field, without missing values."""
        found = {name: column[row] for name, column in self._columns.items() if column[row] is not None}
        for name, newest in self._signals_of(self._tasks[row].id).items():
            found[f"signal.{name}"] = newest.value
            found[f"signal.{name}.count"] = newest.count
            found[f"signal.{name}.age"] = self._age_s(newest)
        return found

    def _signal_column(self, name: str, part: str) -> Column:
        of_project = self._signals.get(None, {}).get(name)
        column = (self._signals.get(task.id, {}).get(name, of_project) for task in self._tasks)
        if part == "count":
            return [newest.count if newest else 0 for newest in column]
        if part == "age":
            return [self._age_s(newest) if newest else None for newest in column]
        return [newest.value if newest else None for newest in column]

    def _signals_of(self, task: int) -> Mapping[str, NewestSignal]:
        return {**self._signals.get(None, {}), **self._signals.get(task, {})}

    def _age_s(self, newest: NewestSignal) -> float:
        return round(max(0.0, self._now_s - newest.at_s), 3)


def load_rule_inputs(
    snapshot: ProjectSnapshot,
    tasks: Sequence[int],
    *,
    champion: Bundle | None,
    prediction_cache: PredictionCache,
    committee: Committee | None,
    skips: Sequence[Skip],
    signals: SignalValues,
    now_s: float,
    ranks: Mapping[int, float] | None = None,
) -> RuleInputs:
    """Compute the rule inputs of tasks from the champion, votes, skips, signals and the time `now_s`.

    Without a committee `model.disagreement` is missing, because it costs a prediction by each member; without `ranks`
    (`rank_by_uncertainty`) `model.uncertainty_rank` is, because it costs a prediction of each open task.
    """
    columns: dict[str, Column] = {}
    if champion is not None:
        proba = prediction_cache.proba(champion, snapshot, tasks)
        columns |= _model_columns(champion, [proba[task] for task in tasks])
        if committee is not None:
            disagreement = committee.disagreement(champion, prediction_cache, snapshot, tasks)
            columns["model.disagreement"] = [disagreement.get(task) for task in tasks]
        if ranks is not None:
            columns[RANK] = [ranks.get(task) for task in tasks]
    columns |= _history_columns(snapshot, tasks, skips)
    rows = [snapshot.tasks[task] for task in tasks]
    columns[SAMPLE] = [_SAMPLES.get(snapshot.roles[task], AUDIT) for task in tasks]
    today = datetime.fromtimestamp(now_s, UTC).date().isoformat()
    columns["time.age"] = [_age_s(task, now_s) for task in rows]
    columns["time.date"] = [today] * len(rows)
    if snapshot.policy.calendars:
        columns["time.within"] = [tuple(open_calendars(snapshot.policy.calendars, now_s))] * len(rows)
    return RuleInputs(rows, columns, signals, now_s=now_s)


def rank_by_uncertainty(
    champion: Bundle | None, prediction_cache: PredictionCache, snapshot: ProjectSnapshot, tasks: Sequence[int]
) -> dict[int, float]:
    """Return, by task, the share of these n tasks of which the model is at least as unsure, from 1 / n to 1.

    Uncertainty is one minus the calibrated probability of the model's label (least confidence: Lewis & Gale 1994,
    doi:10.1007/978-1-4471-2099-5_1). Equal tasks share a rank. Nothing for tasks that the model cannot read.
    """
    proba = prediction_cache.proba(champion, snapshot, tasks)
    if champion is None or not proba or not champion.classes:
        return {}
    ranks = _rank(np.vstack([proba[task] for task in tasks]).max(axis=1))
    return {task: rank for task, rank in zip(tasks, ranks, strict=True) if rank is not None}


def _rank(confidence: Floats) -> list[float | None]:
    """Return the share of the n confidences that are not above each, shape (n,); None where one is NaN."""
    confidence = confidence.round(6)  # as rules read it
    readable = ~np.isnan(confidence)
    ordered = np.sort(confidence[readable])
    ranks = (np.searchsorted(ordered, confidence, side="right") / max(1, len(ordered))).round(6)
    return list(_mask(readable, ranks.tolist()))


def load_decision_history(store: Store, project: str) -> TaskHistory:
    """Return the newest decision about each task with its recorded inputs, without tasks whose data were erased."""
    rows = [row for row in store.decisions.stream_current_decisions(project) if row[1] is not None]

    def column(field: str) -> Sequence[Any]:
        if field == RANK:  # a policy before may not have read it: among the decisions, from their confidences
            return _rank(np.array(column("model.confidence"), dtype=np.float64))
        return [make_lookup(decision.inputs, data or {})(field) for decision, data in rows]

    tasks, times_s = [decision.task for decision, _ in rows], [decision.at_s for decision, _ in rows]
    return TaskHistory(tasks, times_s, column, _measure_handling_s(store, project))


def load_open_tasks(
    store: Store, project: ProjectRow, policy: Policy, model_factory: ModelFactory, *, now_s: float
) -> TaskHistory:
    """Return the tasks of a project as they are now, to simulate its first policy before anything was decided.

    Raises LabelConfigError if the label config of the project cannot be read.
    """
    snapshot = load_counted_snapshot(store, project, policy)
    tasks, fields, predictions = list(snapshot.tasks), Router(policy).fields, PredictionCache()
    champion = ChampionCache(store.registry, model_factory.load).get(project.id)
    inputs = load_rule_inputs(
        snapshot,
        tasks,
        champion=champion,
        prediction_cache=predictions,
        committee=Committee(store.registry, model_factory.load) if "model.disagreement" in fields else None,
        ranks=rank_by_uncertainty(champion, predictions, snapshot, tasks) if RANK in fields else None,
        skips=store.annotations.list_skips(project.id),
        signals=store.signals.list_newest_signals(project.id),
        now_s=now_s,
    )
    # the time of the import, so that the loads are daily rates
    times_s = [now_s - (age_s or 0.0) for age_s in inputs.column("time.age")]
    handling_s = _measure_handling_s(store, project.id)
    return TaskHistory(tasks, times_s, inputs.column, handling_s, source=TASKS_NOW)


def _measure_handling_s(store: Store, project: str) -> float | None:
    """Return the median time of people's answers in seconds; None before the first was timed."""
    times_s = [vote.lead_time_s for vote in store.votes.list_votes(project) if vote.lead_time_s]
    return median(times_s) if times_s else None


def _model_columns(champion: Bundle, proba: Sequence[Floats]) -> dict[str, Column]:
    """Return the champion's label, confidence and margin; None for tasks that it cannot read."""
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
        "model.label": _mask(readable, labels),
        "model.confidence": _mask(readable, confidence.round(6).tolist()),
        "model.margin": _mask(readable, (confidence - second).round(6).tolist()),
    }


def _history_columns(snapshot: ProjectSnapshot, tasks: Sequence[int], skips: Sequence[Skip]) -> dict[str, Column]:
    votes, skips_by_task = snapshot.votes_by_task, Counter(skip.task for skip in skips)
    return {
        "history.votes": [len(votes.get(task, ())) for task in tasks],
        "history.support": [_support(votes[task]) if task in votes else None for task in tasks],
        "history.skips": [skips_by_task[task] for task in tasks],
    }


def _support(votes: Sequence[Vote]) -> float:
    return round(max(Counter(vote.answer for vote in votes).values()) / len(votes), 6)


def _age_s(task: Task, now_s: float) -> float | None:
    created_s = epoch_s(task.created_at)
    return round(max(0.0, now_s - created_s), 3) if created_s else None


def _mask(readable: NDArray[np.bool_], values: Sequence[Any]) -> Column:
    return [value if is_readable else None for value, is_readable in zip(values, readable.tolist(), strict=True)]
