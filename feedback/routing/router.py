"""Routing: decide by the policy's rules where each task goes, record the decision, and replay it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from feedback.errors import PolicyError
from feedback.policy import Policy
from feedback.policy.conditions import Table
from feedback.policy.explain import ClauseResult, evaluate_clauses
from feedback.policy.rule_matching import Outcome, Router, make_lookup
from feedback.policy.rules import Rule
from feedback.project.incremental_caches import Changes, RecentProjects, changed_since
from feedback.project.indicators import load_indicators
from feedback.project.routing_decisions import CurrentDecisions, DecisionCache, Routes, routes_of
from feedback.project.snapshot import ProjectSnapshot
from feedback.routing.rule_inputs import RANK, RuleInputs, SignalValues, load_rule_inputs, rank_by_uncertainty
from feedback.store import CurrentDecision, Decision, Store
from feedback.store.log.events import canonical_json
from feedback.training.consensus_labels import ConsensusLabels
from feedback.training.model_cache import Committee, PredictionCache
from feedback.training.prediction_explanation import explain_prediction
from ml_backend.errors import BackendError
from ml_backend.left_out import compute_rows, contained
from ml_backend.records import with_indicators
from ml_backend.registry import Bundle

_AT_ONCE = 1_000  # decisions in one transaction


@dataclass(frozen=True, slots=True)
class _Routed:
    """What the decisions of a project were made from."""

    rules: tuple[object, ...]  # when it differs, every task is decided again
    snapshot: Changes
    labels: Changes
    seq: int  # the last event of the project's log
    signals: SignalValues = field(repr=False)
    decisions: CurrentDecisions = field(repr=False)
    ranks: Mapping[int, float] | None = field(repr=False)  # of the open tasks by uncertainty, where a rule reads them


class RoutingCache:
    """Routes the tasks of the projects used last; only tasks whose inputs may have changed are decided again.

    What it returns and records is always equal to what a new cache does. Rules that read the clock decide every task
    again at each turn.
    """

    def __init__(self) -> None:
        self._decisions = DecisionCache()
        self._routed = RecentProjects[_Routed]()

    def route(
        self,
        store: Store,
        snapshot: ProjectSnapshot,
        labels: ConsensusLabels,
        champion: Bundle | None,
        prediction_cache: PredictionCache,
        committee: Committee,
        *,
        now_s: float,
        n_waiting: int = 0,
    ) -> Routes:
        """Route every task that has no consensus label or has a signal; record decisions that changed.

        A task gets a new row when its outcome, its data, the model or the policy changed. Without rules nothing is
        recorded: every task goes to the first tier. `n_waiting` old signals have not found their task yet.
        """
        policy, project = snapshot.policy, snapshot.project.id
        if not policy.routing:
            return Routes()
        router, model = Router(policy), champion.version if champion else ""
        own_fields = [name for name in router.fields if not name.startswith("data.")]
        by_clock = any(name.startswith("time.") or name.endswith(".age") for name in own_fields)
        models, signal_head = tuple(store.registry.versions(project)), store.signals.get_signal_head(project)
        heads = store.events.get_heads(project)  # first: what comes while we read is routed again next time
        rules = (policy.hash, model, models, signal_head, n_waiting, heads.own_marks, now_s if by_clock else None)
        current, last = self._decisions.read(store, project, heads=heads), self._routed.get(project)
        changed: frozenset[int] | None = None
        signals: SignalValues = {}
        if last is not None and (last.rules, id(last.decisions)) == (rules, id(current)):
            changed, signals = _changed_tasks(store, snapshot, labels, last, heads.seq), last.signals
        if changed is None:
            signals = store.signals.list_newest_signals(project)
        by_rank = RANK in own_fields
        settled = {label.task for label in labels.settled} if by_rank or changed is None or changed else set()
        ranks: Mapping[int, float] | None = None
        if by_rank:
            open_tasks = [task for task in snapshot.tasks if task not in settled]
            ranks = rank_by_uncertainty(champion, prediction_cache, snapshot, open_tasks)
            if changed is not None and last is not None:
                changed |= _list_rank_changes(router, last.ranks or {}, ranks)
        among = snapshot.tasks if changed is None else sorted(changed & snapshot.tasks.keys())
        tasks = [task for task in among if task not in settled or task in signals]
        new: list[Decision] = []
        if tasks:
            inputs = load_rule_inputs(
                snapshot,
                tasks,
                champion=champion,
                prediction_cache=prediction_cache,
                committee=committee if "model.disagreement" in router.fields else None,
                ranks=ranks,
                skips=store.annotations.list_skips(project, tasks=None if changed is None else tasks),
                signals=signals,
                now_s=now_s,
            )
            contents = store.tasks.list_content_hashes(project) if changed is None else {}
            decisions = _to_decisions(_route_all(router, inputs, tasks), policy.hash, model)
            new = _list_changed_decisions(tasks, decisions, inputs, current, contents, now_s=now_s)
        routes = snapshot.routes
        if new:
            # before the decisions: without its policy a decision could not be replayed
            store.policies.create_policy(project, policy)
            new = _record_decisions(store, project, new)
            current = self._decisions.read(store, project)
            standing = {**routes.standing, **{decision.task: decision.standing for decision in new}}
            routes = routes_of(standing, first_tier=policy.first_tier)
        routed = _Routed(rules, snapshot.changes, labels.changes, heads.seq, signals, current, ranks)
        self._routed.put(project, routed, size=len(current))
        return routes


def _changed_tasks(
    store: Store, snapshot: ProjectSnapshot, labels: ConsensusLabels, last: _Routed, seq: int
) -> frozenset[int] | None:
    """Return the tasks whose own inputs may have changed since the last routing; None where any may."""
    changed = changed_since((snapshot.changes, last.snapshot), (labels.changes, last.labels))
    if changed is None or seq == last.seq:
        return changed
    changes = store.events.list_changes(snapshot.project.id, last.seq)
    return changed | changes.tasks | changes.annotated


def _list_rank_changes(router: Router, before: Mapping[int, float], now: Mapping[int, float]) -> set[int]:
    """Return the tasks for which a test of the uncertainty rank has another result than before."""
    tasks, columns = list(now), ({RANK: [ranks.get(task) for task in now]} for ranks in (before, now))
    old, new = (Table(len(tasks), column.__getitem__) for column in columns)
    changed = np.zeros(len(tasks), dtype=bool)
    for test in router.tests_of(RANK):
        changed |= old.evaluate(test) != new.evaluate(test)
    return {tasks[row] for row in np.flatnonzero(changed).tolist()}


def _route_all(router: Router, inputs: RuleInputs, tasks: Sequence[int]) -> Sequence[Outcome | None]:
    """Return the outcome of each task; None for a task whose values make a rule fail, which keeps its last decision."""

    def route(rows: Sequence[int]) -> Sequence[Outcome]:
        if len(rows) == len(tasks):
            return router.route_table(inputs.table)
        return [router.route_task(make_lookup(inputs.inputs(row), inputs.data(row))) for row in rows]

    return compute_rows("route", range(len(tasks)), route, name=lambda row: f"task {tasks[row]}")


def _record_decisions(store: Store, project: str, new: Sequence[Decision]) -> list[Decision]:
    """Record decisions and return them, without those that the database refuses."""

    def record(part: Sequence[Decision]) -> Sequence[Decision]:
        store.decisions.create_decisions(project, part)
        return part

    recorded: list[Decision | None] = []
    for start in range(0, len(new), _AT_ONCE):
        part = new[start : start + _AT_ONCE]
        recorded += compute_rows("record the decision", part, record, name=lambda decision: f"task {decision.task}")
    return [decision for decision in recorded if decision is not None]


def _to_decisions(outcomes: Sequence[Outcome | None], policy: str, model: str) -> list[CurrentDecision | None]:
    # the router returns the same object for the same outcome
    different = {id(outcome): outcome for outcome in outcomes}
    made = {
        number: None if outcome is None else _to_decision(outcome, policy, model)
        for number, outcome in different.items()
    }
    return [made[id(outcome)] for outcome in outcomes]


def _list_changed_decisions(
    tasks: Sequence[int],
    decisions: Sequence[CurrentDecision | None],
    inputs: RuleInputs,
    current: CurrentDecisions,
    contents: Mapping[int, str],
    *,
    now_s: float,
) -> list[Decision]:
    """Return the decisions that differ from the current ones; `contents` are the hashes of tasks' data, where known."""
    new: list[Decision] = []
    for row, (task, decision) in enumerate(zip(tasks, decisions, strict=True)):
        if decision is None or current.get(task) == (decision, contents.get(task)):
            continue
        with contained("record the decision", f"task {task}"):
            # hashed again: a webhook may have changed the stored data since the inputs were loaded
            content = hashlib.sha256(canonical_json(inputs.data(row))).hexdigest()
            if current.get(task) != (decision, content):
                new.append(Decision(task, now_s, content, decision, inputs.inputs(row)))
    return new


@dataclass(frozen=True, slots=True)
class DecisionExplanation:
    """Why a task was routed as it was: the recorded decision, and its replay."""

    decision: Decision
    rule: Rule | None  # None where the policy is not stored any more
    same: bool | None  # whether the replay has the same result; None where it cannot be replayed
    note: str  # the difference, or why it cannot be replayed; "" where the result is the same
    clauses: tuple[tuple[str, tuple[ClauseResult, ...]], ...] = ()  # of each rule up to the one that decided
    prediction: Mapping[str, Any] = field(default_factory=dict)  # the model's prediction then, with its explanation


def explain_decision(
    store: Store, project: str, decision: Decision, *, load: Callable[[bytes, str], Bundle] | None = None
) -> DecisionExplanation:
    """Replay a decision from its recorded inputs, with the task data and the policy of that time.

    `load` builds a stored model from its bytes and digest; with it, the model's prediction is explained, too.
    """
    try:
        policy = store.policies.get_policy(project, decision.standing.policy)
    except PolicyError as error:
        return DecisionExplanation(decision, None, None, str(error))
    rule = next((rule for rule in policy.routing if rule.id == decision.standing.rule), None)
    data = store.tasks.get_task_data(project, decision.task, decision.content)
    if data is None:
        return DecisionExplanation(decision, rule, None, "the data of the task were erased")
    get = make_lookup(decision.inputs, data)
    replay = Router(policy).route_task(get)
    same = _to_decision(replay, decision.standing.policy, decision.standing.model) == decision.standing
    clauses = []
    for candidate, condition in zip(policy.routing, policy.conditions(), strict=True):
        clauses.append((candidate.id, tuple(evaluate_clauses(condition, policy, get)) if candidate.when else ()))
        if candidate.id == replay.rule:
            break
    note = "" if same else f"the replay gives {replay.rule} → {replay.to}"
    prediction = _explain_prediction(store, project, decision, policy, data, load)
    return DecisionExplanation(decision, rule, same, note, tuple(clauses), prediction)


def _explain_prediction(
    store: Store,
    project: str,
    decision: Decision,
    policy: Policy,
    data: Mapping[str, Any],
    load: Callable[[bytes, str], Bundle] | None,
) -> Mapping[str, Any]:
    """Return the prediction of the decision's model for the data and indicators of that time; {} without one."""
    if load is None or not decision.standing.model:
        return {}
    try:
        artefact = store.registry.artefact(project, decision.standing.model)
        bundle = load(artefact.data, artefact.digest)
    except BackendError as error:
        return {"model": decision.standing.model, "note": f"not known: {error}"}
    indicators = load_indicators(store, project, policy).as_of(decision.task, data, at_s=decision.at_s)
    return explain_prediction(bundle, with_indicators(data, indicators))


def _to_decision(outcome: Outcome, policy: str, model: str) -> CurrentDecision:
    return CurrentDecision(
        rule=outcome.rule,
        outcome=outcome.to,
        policy=policy,
        model=model,
        refused=outcome.refused,
        priority=outcome.priority,
        queue=outcome.queue,
        overlap=outcome.overlap,
        sample=outcome.sample,
    )
