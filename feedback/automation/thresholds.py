"""The table of thresholds of a project: its recorded decisions against what people said of its audited tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from feedback.policy import Policy
from feedback.policy.simulate import TaskHistory
from feedback.policy.threshold_costs import ThresholdTable, thresholds
from feedback.project.snapshot import ProjectSnapshot, load_snapshot
from feedback.review.final_answers import apply_final_answers, load_final_answers
from feedback.routing.decision_history import load_decision_history, load_open_tasks
from feedback.store import ProjectRow, Store
from feedback.training.consensus_labels import ConsensusLabels, decide_labels
from feedback.training.dataset import single_label
from feedback.training.model_factory import ModelFactory
from ml_backend.label_config import read_label_config

KIND = "thresholds"  # of the record, which pages show
_EVERY_S = 86_400.0


def weigh(
    store: Store, project: ProjectRow, policy: Policy, model_factory: ModelFactory, *, now_s: float
) -> ThresholdTable:
    """Weigh every threshold, on the decisions of the past or, where none is, on the tasks as they are; record it."""
    config = read_label_config(project.label_config)
    snapshot = load_snapshot(store, project, policy, config, config.control(policy.model.control))
    consensus_labels = apply_final_answers(
        decide_labels(snapshot), load_final_answers(store, snapshot), snapshot
    )
    past = load_decision_history(store, project.id)
    if not past.tasks:
        past = _unlearned(
            load_open_tasks(store, project, policy, model_factory, now_s=now_s), snapshot, consensus_labels
        )
    return _recorded(store, snapshot, consensus_labels, past, now_s=now_s)


def refresh_threshold_table(
    store: Store, snapshot: ProjectSnapshot, consensus_labels: ConsensusLabels, *, model: str, now_s: float
) -> ThresholdTable | None:
    """Weigh the thresholds anew once a day, for whoever looks at the pages; None where nothing is due or decided.

    `model` is the version that serves; without one there is nothing to weigh.
    """
    last = store.records.get_latest_record(snapshot.project.id, KIND)
    if not model or not snapshot.policy.routing or (last is not None and now_s - last.body["at_s"] < _EVERY_S):
        return None
    past = load_decision_history(store, snapshot.project.id)
    if all(one is None for one in past.column("model.confidence")):
        return None
    return _recorded(store, snapshot, consensus_labels, past, now_s=now_s)


def checked(snapshot: ProjectSnapshot, consensus_labels: ConsensusLabels) -> dict[int, str]:
    """What people settled for tasks of the audit stream. Those of certificates are kept: a threshold is chosen here."""
    labels = {one.task: single_label(one.answer) for one in consensus_labels.settled}
    return {
        task: label
        for task, label in labels.items()
        if label is not None and snapshot.roles.get(task) in ("tune", "judge")
    }


def _recorded(
    store: Store, snapshot: ProjectSnapshot, consensus_labels: ConsensusLabels, past: TaskHistory, *, now_s: float
) -> ThresholdTable:
    found = thresholds(snapshot.policy, past, checked(snapshot, consensus_labels))
    store.records.create_record(snapshot.project.id, KIND, as_json(found) | {"at_s": now_s})
    return found


def as_json(found: ThresholdTable) -> dict[str, Any]:
    """As plain JSON, with the sentences."""
    body = asdict(found) | {"sentences": found.sentences}
    for step, one in zip(body["steps"], found.steps, strict=True):
        step["error"] = one.error.to_json()
    return {**body, "steps": list(body["steps"])}


def _unlearned(past: TaskHistory, snapshot: ProjectSnapshot, consensus_labels: ConsensusLabels) -> TaskHistory:
    """Leave out what the model has learned from: it is surer of that than of anything to come."""
    learned = {one.task for one in consensus_labels.settled if snapshot.roles.get(one.task) == "train"}
    kept = [place for place, task in enumerate(past.tasks) if task not in learned]

    def column(field: str) -> Sequence[Any]:
        values = past.column(field)
        return [values[place] for place in kept]

    tasks, times = [past.tasks[place] for place in kept], [past.at_s[place] for place in kept]
    return replace(past, tasks=tasks, at_s=times, column=column)
