"""Decision history: the recorded routing decisions of a project as columns, to simulate another policy on them."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from feedback.policy import Policy
from feedback.policy.rule_matching import Router, make_lookup
from feedback.policy.simulate import TaskHistory
from feedback.project.snapshot import load_snapshot
from feedback.routing.rule_inputs import load_rule_inputs
from feedback.store import ProjectRow, Store
from feedback.training.model_cache import ChampionCache, Committee, PredictionCache
from feedback.training.model_factory import ModelFactory


def load_decision_history(store: Store, project: str) -> TaskHistory:
    """Return the newest decision about each task with its recorded inputs, without tasks whose data were erased."""
    rows = [row for row in store.decisions.stream_current_decisions(project) if row[1] is not None]

    def column(field: str) -> Sequence[Any]:
        return [make_lookup(decision.inputs, data or {})(field) for decision, data in rows]

    tasks, times_s = [decision.task for decision, _ in rows], [decision.at_s for decision, _ in rows]
    return TaskHistory(tasks, times_s, column, measure_handling_s(store, project))


def load_open_tasks(
    store: Store, project: ProjectRow, policy: Policy, model_factory: ModelFactory, *, now_s: float
) -> TaskHistory:
    """Return the tasks of a project as they are now, to simulate its first policy before anything was decided.

    Raises
    ------
    LabelConfigError
        When the label config of the project cannot be read.
    """
    snapshot = load_snapshot(store, project, policy)
    tasks = list(snapshot.tasks)
    inputs = load_rule_inputs(
        snapshot,
        tasks,
        champion=ChampionCache(store.registry, model_factory.load).get(project.id),
        prediction_cache=PredictionCache(),
        committee=(
            Committee(store.registry, model_factory.load) if "model.disagreement" in Router(policy).fields else None
        ),
        skips=store.annotations.list_skips(project.id),
        signals=store.signals.list_newest_signals(project.id),
        now_s=now_s,
    )
    # the time of the import, so that the loads are daily rates
    times_s = [now_s - (age_s or 0.0) for age_s in inputs.column("time.age")]
    handling_s = measure_handling_s(store, project.id)
    return TaskHistory(tasks, times_s, inputs.column, handling_s, source="tasks as they are now")


def measure_handling_s(store: Store, project: str) -> float | None:
    """Return the median time of people's answers in seconds; None before the first was timed."""
    times_s = [vote.lead_time_s for vote in store.votes.list_votes(project) if vote.lead_time_s]
    return median(times_s) if times_s else None
