"""The past: decisions as columns, so that another policy can be tried on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from feedback.policy import Policy
from feedback.policy.decision import Router, make_data_reader, make_lookup
from feedback.policy.simulate import TaskHistory
from feedback.project.snapshot import load_snapshot
from feedback.routing.rule_inputs import load_rule_inputs
from feedback.store import Decision, ProjectRow, Store
from feedback.training.model_cache import ChampionCache, Committee, PredictionCache
from feedback.training.model_factory import ModelFactory
from ml_backend.label_config import read_label_config


def load_decision_history(store: Store, project: str, *, since_s: float = 0.0) -> TaskHistory:
    """Give the newest decision about each task with the facts that it was made from; erased tasks are left out."""
    kept = (
        (one, data)
        for one, data in store.decisions.stream_current_decisions(project, since_s=since_s)
        if data is not None
    )
    return decision_columns(kept, handling_s=handling_s(store, project))


def decision_columns(
    decided: Iterable[tuple[Decision, Mapping[str, Any]]], *, handling_s: float | None = None
) -> TaskHistory:
    """Turn decisions and their tasks' data into columns."""
    rows = list(decided)

    def column(field: str) -> Sequence[Any]:
        source, _, rest = field.partition(".")
        if source == "data":
            read = make_data_reader(rest)
            return [read(data) for _, data in rows]
        if source == "signal":  # none came is 0, not missing
            return [make_lookup(one.inputs, {})(field) for one, _ in rows]
        return [one.inputs.get(field) for one, _ in rows]

    return TaskHistory([one.task for one, _ in rows], [one.at_s for one, _ in rows], column, handling_s)


def load_open_tasks(
    store: Store, project: ProjectRow, policy: Policy, model_factory: ModelFactory, *, now_s: float
) -> TaskHistory:
    """The tasks of a project as they are now: what a first policy is tried on, before anything was decided.

    Raises LabelConfigError for a project that we cannot read.
    """
    config = read_label_config(project.label_config)
    snapshot = load_snapshot(store, project, policy, config, config.control(policy.model.control))
    tasks = list(snapshot.tasks)
    needs = Router(policy).fields
    facts = load_rule_inputs(
        snapshot,
        tasks,
        champion=ChampionCache(store.registry, model_factory.load).get(project.id),
        prediction_cache=PredictionCache(),
        committee=Committee(store.registry, model_factory.load) if "model.disagreement" in needs else None,
        skips=store.annotations.list_skips(project.id),
        heard=store.signals.list_newest_signals(project.id),
        now_s=now_s,
    )
    # when each was imported, so that loads are loads a day
    ages_s = [age or 0.0 for age in facts.column("time.age")]
    at_s = [now_s - age for age in ages_s]
    return TaskHistory(tasks, at_s, facts.column, handling_s(store, project.id), source="tasks as they are now")


def handling_s(store: Store, project: str) -> float | None:
    """Seconds that one look takes: the median over people's answers; None before the first was timed."""
    times = [vote.lead_time_s for vote in store.votes.list_votes(project) if vote.lead_time_s]
    return median(times) if times else None
