"""Routing: who looks at which task, decided by the policy's rules, recorded, and open to replay."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from feedback.errors import PolicyError
from feedback.policy import Policy
from feedback.policy.decision import Outcome, Router, make_lookup
from feedback.policy.explain import ClauseResult, evaluate_clauses
from feedback.policy.rules import Rule
from feedback.project.indicators import load_indicators
from feedback.project.snapshot import ProjectSnapshot
from feedback.project.task_routes import Routes, routes_of
from feedback.routing.rule_inputs import RuleInputs, load_rule_inputs
from feedback.store import CurrentDecision, Decision, Store
from feedback.store.log.events import canonical_json
from feedback.training.explanations import opinion
from feedback.training.model_cache import Committee, PredictionCache
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
    """Decide about every task that is not settled, and about those that somebody signalled; record what changed.

    One row a task and epoch (model, policy), another only where its outcome or its data changed. Without rules
    nothing is decided and nothing is recorded: every task is asked in the first tier.
    """
    if not snapshot.policy.routing:
        return Routes()
    router = Router(snapshot.policy)
    project = snapshot.project.id
    heard = store.signals.list_newest_signals(project)
    tasks = [task for task in snapshot.tasks if task not in settled or task in heard]
    facts = load_rule_inputs(
        snapshot,
        tasks,
        champion=champion,
        prediction_cache=prediction_cache,
        committee=committee if "model.disagreement" in router.fields else None,
        skips=store.annotations.list_skips(project),
        heard=heard,
        now_s=now_s,
    )
    outcomes = router.all(facts.table)
    known = store.decisions.list_current_decisions(project)
    model = champion.version if champion else ""
    new = changed(
        tasks,
        outcomes,
        facts,
        known,
        store.tasks.list_content_hashes(project),
        snapshot.policy,
        model=model,
        now_s=now_s,
    )
    if new:
        store.policies.create_policy(
            project, snapshot.policy
        )  # first: a decision without its policy could not be replayed
        store.decisions.create_decisions(project, new)
    standing = {task: one for task, (one, _content) in known.items()}
    standing.update((one.task, one.standing) for one in new)
    return routes_of(standing, first_tier=snapshot.policy.first_tier)


def changed(
    tasks: Sequence[int],
    outcomes: Sequence[Outcome],
    facts: RuleInputs,
    known: Mapping[int, tuple[CurrentDecision, str]],
    contents: Mapping[int, str],
    policy: Policy,
    *,
    model: str,
    now_s: float,
) -> list[Decision]:
    """Give the decisions that differ from those that stand."""
    policy_hash = policy.hash
    stands: dict[int, CurrentDecision] = {}  # one record for all tasks of one outcome: they are the router's own objects
    new: list[Decision] = []
    for row, (task, outcome) in enumerate(zip(tasks, outcomes, strict=True)):
        standing = stands.get(id(outcome))
        if standing is None:
            standing = stands[id(outcome)] = _standing(outcome, policy_hash, model)
        if known.get(task) == (standing, contents.get(task)):
            continue
        # named anew: a webhook may have changed the stored data since these were read
        content = hashlib.sha256(canonical_json(facts.data(row))).hexdigest()
        if known.get(task) != (standing, content):
            new.append(Decision(task, now_s, content, standing, facts.inputs(row)))
    return new


@dataclass(frozen=True, slots=True)
class Why:
    """Why a task went where it went: the decision, and the same decision made once more."""

    decision: Decision
    rule: Rule | None  # None where the policy is not stored any more
    same: bool | None  # whether the replay decides the same; None where it cannot be replayed
    note: str  # why not
    clauses: tuple[tuple[str, tuple[ClauseResult, ...]], ...] = ()  # each rule up to the one that decided
    opinion: Mapping[str, Any] = field(default_factory=dict)  # what the model said then, and what spoke for it


def why(store: Store, project: str, decision: Decision, *, load: Callable[[bytes, str], Bundle] | None = None) -> Why:
    """Replay a decision from its recorded inputs, its task's data as they were, and its policy as it was.

    With `load`, which builds a stored model, also say what spoke for the model's answer.
    """
    try:
        policy = store.policies.get_policy(project, decision.standing.policy)
    except PolicyError as error:
        return Why(decision, None, None, str(error))
    rule = next((one for one in policy.routing if one.id == decision.standing.rule), None)
    data = store.tasks.get_task_data(project, decision.task, decision.content)
    if data is None:
        return Why(decision, rule, None, "the task's data were erased")
    get = make_lookup(decision.inputs, data)
    again = Router(policy).one(get)
    same = _standing(again, decision.standing.policy, decision.standing.model) == decision.standing
    held = []
    for one, condition in zip(policy.routing, policy.conditions(), strict=True):
        held.append((one.id, tuple(evaluate_clauses(condition, policy, get)) if one.when else ()))
        if one.id == again.rule:
            break
    note = "" if same else f"the replay says {again.rule} → {again.to}"
    return Why(decision, rule, same, note, tuple(held), _opinion(store, project, decision, policy, data, load))


def _opinion(
    store: Store,
    project: str,
    decision: Decision,
    policy: Policy,
    data: Mapping[str, Any],
    load: Callable[[bytes, str], Bundle] | None,
) -> Mapping[str, Any]:
    """Ask the model of then about the data of then, with what was known of them then."""
    if load is None or not decision.standing.model:
        return {}
    try:
        artefact = store.registry.artefact(project, decision.standing.model)
        bundle = load(artefact.data, artefact.digest)
    except BackendError as error:
        return {"model": decision.standing.model, "note": f"not known: {error}"}
    known = load_indicators(store, project, policy).as_of(decision.task, data, at_s=decision.at_s)
    return opinion(bundle, with_indicators(data, known))


def _standing(outcome: Outcome, policy: str, model: str) -> CurrentDecision:
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
