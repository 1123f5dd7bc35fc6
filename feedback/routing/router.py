"""Routing: decide by the policy's rules where each task goes, record the decision, and replay it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from feedback.errors import PolicyError
from feedback.policy import Policy
from feedback.policy.explain import ClauseResult, evaluate_clauses
from feedback.policy.rule_matching import Outcome, Router, make_lookup
from feedback.policy.rules import Rule
from feedback.project.indicators import load_indicators
from feedback.project.snapshot import ProjectSnapshot
from feedback.project.task_routes import Routes, routes_of
from feedback.routing.rule_inputs import RuleInputs, load_rule_inputs
from feedback.store import CurrentDecision, Decision, Store
from feedback.store.log.events import canonical_json
from feedback.training.model_cache import Committee, PredictionCache
from feedback.training.prediction_explanation import explain_prediction
from ml_backend.errors import BackendError
from ml_backend.records import with_indicators
from ml_backend.registry import Bundle


def route(
    store: Store,
    snapshot: ProjectSnapshot,
    settled: frozenset[int],
    champion: Bundle | None,
    prediction_cache: PredictionCache,
    committee: Committee,
    *,
    now_s: float,
) -> Routes:
    """Route every task that has no consensus label or has a signal; record decisions that changed.

    A task gets a new row when its outcome, its data, the model or the policy changed. Without rules nothing is
    recorded: every task goes to the first tier.
    """
    if not snapshot.policy.routing:
        return Routes()
    router = Router(snapshot.policy)
    project = snapshot.project.id
    signals = store.signals.list_newest_signals(project)
    tasks = [task for task in snapshot.tasks if task not in settled or task in signals]
    inputs = load_rule_inputs(
        snapshot,
        tasks,
        champion=champion,
        prediction_cache=prediction_cache,
        committee=committee if "model.disagreement" in router.fields else None,
        skips=store.annotations.list_skips(project),
        signals=signals,
        now_s=now_s,
    )
    outcomes = router.route_table(inputs.table)
    current = store.decisions.list_current_decisions(project)
    model = champion.version if champion else ""
    new = list_changed_decisions(
        tasks,
        outcomes,
        inputs,
        current,
        store.tasks.list_content_hashes(project),
        snapshot.policy,
        model=model,
        now_s=now_s,
    )
    if new:
        # before the decisions: without its policy a decision could not be replayed
        store.policies.create_policy(project, snapshot.policy)
        store.decisions.create_decisions(project, new)
    decisions = {task: decision for task, (decision, _content) in current.items()}
    decisions.update((decision.task, decision.standing) for decision in new)
    return routes_of(decisions, first_tier=snapshot.policy.first_tier)


def list_changed_decisions(
    tasks: Sequence[int],
    outcomes: Sequence[Outcome],
    inputs: RuleInputs,
    current: Mapping[int, tuple[CurrentDecision, str]],
    contents: Mapping[int, str],
    policy: Policy,
    *,
    model: str,
    now_s: float,
) -> list[Decision]:
    """Return the decisions that differ from the current ones."""
    policy_hash = policy.hash
    by_outcome: dict[int, CurrentDecision] = {}  # the router returns the same object for the same outcome
    new: list[Decision] = []
    for row, (task, outcome) in enumerate(zip(tasks, outcomes, strict=True)):
        decision = by_outcome.get(id(outcome))
        if decision is None:
            decision = by_outcome[id(outcome)] = _to_decision(outcome, policy_hash, model)
        if current.get(task) == (decision, contents.get(task)):
            continue
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
    )
