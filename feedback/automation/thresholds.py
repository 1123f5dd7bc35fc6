"""The threshold table of a project: its recorded decisions compared with the consensus on audited tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from feedback.policy import Policy
from feedback.policy.simulate import TaskHistory
from feedback.policy.threshold_costs import ThresholdTable, evaluate_thresholds
from feedback.project.snapshot import ProjectSnapshot, load_counted_snapshot
from feedback.review.final_answers import FinalAnswerCache
from feedback.routing.rule_inputs import load_decision_history, load_open_tasks
from feedback.store import ProjectRow, Store
from feedback.training.consensus_labels import ConsensusCache, ConsensusLabels
from feedback.training.dataset import single_label
from feedback.training.model_factory import ModelFactory

KIND = "thresholds"  # of the record, which the pages show
_REFRESH_S = 86_400.0


def build_threshold_table(
    store: Store, project: ProjectRow, policy: Policy, model_factory: ModelFactory, *, now_s: float
) -> ThresholdTable:
    """Evaluate and record all thresholds, on recorded decisions or, where there are none, on the tasks as they are."""
    snapshot = load_counted_snapshot(store, project, policy)
    review = FinalAnswerCache()
    consensus_labels = review.apply(ConsensusCache().decide(snapshot), review.load(store, snapshot), snapshot)
    history = load_decision_history(store, project.id)
    if not history.tasks:
        history = load_open_tasks(store, project, policy, model_factory, now_s=now_s)
        history = _without_training_tasks(history, snapshot, consensus_labels)
    return _evaluate_and_record(store, snapshot, consensus_labels, history, now_s=now_s)


def refresh_threshold_table(
    store: Store, snapshot: ProjectSnapshot, consensus_labels: ConsensusLabels, *, model: str, now_s: float
) -> ThresholdTable | None:
    """Evaluate the thresholds again once a day for the pages; None where nothing is due or nothing was decided.

    `model` is the serving version; "" where there is none, and then nothing is evaluated.
    """
    last = store.records.get_latest_record(snapshot.project.id, KIND)
    if not model or not snapshot.policy.routing or (last is not None and now_s - last.body["at_s"] < _REFRESH_S):
        return None
    history = load_decision_history(store, snapshot.project.id)
    if all(confidence is None for confidence in history.column("model.confidence")):
        return None
    return _evaluate_and_record(store, snapshot, consensus_labels, history, now_s=now_s)


def threshold_table_to_json(table: ThresholdTable) -> dict[str, Any]:
    """Return the table and its sentences for JSON."""
    body = asdict(table) | {"sentences": table.sentences}
    steps = [step | {"error": row.error.to_json()} for step, row in zip(body["steps"], table.steps, strict=True)]
    return {**body, "steps": steps}


def _list_audit_labels(snapshot: ProjectSnapshot, consensus_labels: ConsensusLabels) -> dict[int, str]:
    """Return the consensus label of audit tasks, without the split that is reserved for certificates."""
    return {
        label.task: text
        for label in consensus_labels.settled
        if snapshot.roles.get(label.task) in ("tune", "judge") and (text := single_label(label.answer)) is not None
    }


def _evaluate_and_record(
    store: Store, snapshot: ProjectSnapshot, consensus_labels: ConsensusLabels, history: TaskHistory, *, now_s: float
) -> ThresholdTable:
    table = evaluate_thresholds(snapshot.policy, history, _list_audit_labels(snapshot, consensus_labels))
    store.records.create_record(snapshot.project.id, KIND, threshold_table_to_json(table) | {"at_s": now_s})
    return table


def _without_training_tasks(
    history: TaskHistory, snapshot: ProjectSnapshot, consensus_labels: ConsensusLabels
) -> TaskHistory:
    """Leave out tasks that the model learned from: it is more confident there than on new tasks."""
    learned = {label.task for label in consensus_labels.settled if snapshot.roles.get(label.task) == "train"}
    rows = [row for row, task in enumerate(history.tasks) if task not in learned]

    def column(field: str) -> Sequence[Any]:
        values = history.column(field)
        return [values[row] for row in rows]

    tasks, times_s = [history.tasks[row] for row in rows], [history.at_s[row] for row in rows]
    return replace(history, tasks=tasks, at_s=times_s, column=column)
