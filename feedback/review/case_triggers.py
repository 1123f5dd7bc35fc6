"""Why cases are opened: rules, disagreement, skips, clocks, random second looks, signals and requests for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from feedback.policy import Policy
from feedback.policy.conditions import condition_fields
from feedback.policy.reviewer_questions import HUMAN_REVIEW
from feedback.policy.sections import parse_duration_s
from feedback.policy.tiers import Tier
from feedback.project.recent_projects import RecentProjects
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.case_workflow import (
    ESCALATED,
    ON_REQUEST,
    SECOND_LOOK,
    CaseTrigger,
    CaseWorkflow,
    is_blind,
    priority_value,
)
from feedback.review.overrides import segment_of
from feedback.review.review_context import ModelAnswer, ReviewContext
from feedback.review.state_machine import OPEN_STATES
from feedback.stats.hash_sampling import draws
from feedback.store import CaseRow, Signal, Skip, Store
from feedback.training.consensus_labels import ConsensusLabels
from feedback.training.dataset import ConsensusLabel
from ml_backend.records import Answer

DISAGREEMENT, SKIPPED = "disagreement", "skipped"
# the rule of a case that no routing rule opened
_INTERNAL_RULES = ("", DISAGREEMENT, SKIPPED, ESCALATED, SECOND_LOOK, ON_REQUEST)


def open_cases(context: ReviewContext, second_looks: SecondLookCache) -> None:
    """Open and reopen cases for all triggers of this turn; withdraw the cases of deleted tasks."""
    store, snapshot, states = context.store, context.snapshot, context.case_states.by_task
    deleted = [task for task in states.keys() - snapshot.tasks.keys() if states[task] != "withdrawn"]
    for case in store.cases.list_cases(context.project, tasks=deleted) if deleted else []:
        context.move(case, "withdraw", note="the task was deleted")
    _reroute_unstarted(context)
    escalates = context.policy.tiers[context.first_tier].skip_means == "escalate"
    skips = [skip for skips_of_task in context.skips.values() for skip in skips_of_task] if escalates else []
    triggers = find_case_triggers(
        snapshot, context.consensus_labels, skips, states, model=context.model, model_answer=context.model_answer
    )
    context.result.opened += len(context.workflow.open(triggers))
    _open_signalled(context)
    _open_requested(context)
    if context.policy.second_look.share:
        drawn = second_looks.list_drawn(snapshot, context.consensus_labels)
        tasks = [label.task for label in drawn if states.get(label.task) == "resolved"]
        resolved = {case.task: case for case in store.cases.list_cases(context.project, tasks=tasks)}
        _open_or_reopen(context, second_look_triggers(snapshot, drawn, resolved, states))


def find_case_triggers(
    snapshot: ProjectSnapshot,
    consensus_labels: ConsensusLabels,
    skips: Iterable[Skip],
    states: Mapping[int, str],
    *,
    model: str,
    model_answer: ModelAnswer,
) -> list[CaseTrigger]:
    """Return a trigger for each task that needs a case and has none; `states` are those of the cases by task."""
    policy = snapshot.policy
    first, above = policy.first_tier, policy.tier_after(policy.first_tier)
    settled = {label.task for label in consensus_labels.settled}
    skipped = {skip.task for skip in skips} if policy.tiers[first].skip_means == "escalate" else set()
    votes = snapshot.votes_by_task
    if has_clock(policy.tiers[first]):
        candidates = snapshot.tasks.keys() - states.keys() - settled
    else:
        candidates = (snapshot.routes.tiers.keys() | votes.keys() | skipped) - states.keys() - settled
    found: list[CaseTrigger] = []
    for task in sorted(candidates & snapshot.tasks.keys()):
        answers = [vote.answer for vote in votes.get(task, ())]
        if task in snapshot.routes.tiers:
            found.append(_trigger_by_rule(snapshot, task, snapshot.routes.tiers[task], model, model_answer))
        elif above and (
            why := blocked_reason(
                answers, wants_votes=task in consensus_labels.needs_more_votes, skipped=task in skipped
            )
        ):
            found.append(_make_trigger(snapshot, task, above, *why, model, model_answer))
        elif (
            has_clock(policy.tiers[first]) and task not in snapshot.routes.held and not snapshot.tasks[task].is_labeled
        ):
            found.append(_make_trigger(snapshot, task, first, "its clock runs", "", model, model_answer))
    return found


def blocked_reason(answers: Iterable[Answer], *, wants_votes: bool, skipped: bool) -> tuple[str, str] | None:
    """Return why the first tier cannot settle an unsettled task, as (text, rule); None where it still can."""
    n_answers = len(list(answers))
    if skipped and not n_answers:
        return "somebody skipped it, which asks for more experience", SKIPPED
    if n_answers and not wants_votes:
        return f"{n_answers} people differ, and no more are asked", DISAGREEMENT
    return None


def human_review_triggers(
    snapshot: ProjectSnapshot, signals: Iterable[Signal], *, model: str, model_answer: ModelAnswer
) -> list[tuple[Signal, CaseTrigger]]:
    """Return a trigger for each request for a person, at the tier and within the time that the policy promises."""
    tier, within_s = human_review_tier(snapshot.policy), parse_duration_s(snapshot.policy.rights.within)
    found = []
    for signal in signals:
        if signal.task is not None and signal.task in snapshot.tasks:
            why = signal.note or "a person was asked for"
            trigger = _make_trigger(snapshot, signal.task, tier, why, ON_REQUEST, model, model_answer)
            found.append((signal, replace(trigger, within_s=within_s, priority="high")))
    return found


def human_review_tier(policy: Policy) -> str:
    """Return the tier that decides when somebody asks for a person."""
    return policy.rights.tier or policy.tier_after(policy.first_tier) or policy.first_tier


def signal_rules(policy: Policy) -> dict[str, frozenset[str]]:
    """Return, for each rule that reads signals and sends tasks to a later tier, the names of these signals."""
    found: dict[str, frozenset[str]] = {}
    for rule, condition in zip(policy.routing, policy.conditions(), strict=True):
        signal_names = {field.split(".")[1] for field in condition_fields(condition) if field.startswith("signal.")}
        if signal_names and rule.to in policy.tiers and rule.to != policy.first_tier:
            found[rule.id] = frozenset(signal_names)
    return found


def signal_triggers(
    snapshot: ProjectSnapshot,
    consensus_labels: ConsensusLabels,
    cases: Mapping[int, CaseRow],
    received_s: Mapping[tuple[int, str], float],
    *,
    model: str,
    model_answer: ModelAnswer,
) -> list[CaseTrigger]:
    """Return a trigger for each decided task that a rule now sends to a later tier because of a newer signal.

    Parameters
    ----------
    cases
        The cases of the tasks that such rules route, by task.
    received_s
        When the newest signal came, by task and name of the signal.
    """
    rules, settled = signal_rules(snapshot.policy), {label.task for label in consensus_labels.settled}
    found: list[CaseTrigger] = []
    for task, tier in snapshot.routes.tiers.items():
        names = rules.get(snapshot.routes.standing[task].rule, frozenset())
        newest_s = max((received_s[task, name] for name in names if (task, name) in received_s), default=None)
        if newest_s is None or task not in snapshot.tasks:
            continue
        case = cases.get(task)
        decided_s = 0.0 if case is None else case.resolved_s if case.state == "resolved" else None
        if decided_s is not None and newest_s > decided_s and (case is not None or task in settled):
            found.append(_trigger_by_rule(snapshot, task, tier, model, model_answer))
    return found


class SecondLookCache:
    """Keeps which decided tasks of the projects used last are drawn for a second look.

    The draw is keyed on the task's content: nobody can predict it, and a larger share includes that of a smaller one.
    """

    def __init__(self) -> None:
        self._draws = RecentProjects[tuple[str, dict[str, float]]]()
        self._drawn = RecentProjects[tuple[ConsensusLabels, float, list[ConsensusLabel]]]()

    def list_drawn(self, snapshot: ProjectSnapshot, labels: ConsensusLabels) -> list[ConsensusLabel]:
        """Return the labels of the drawn tasks, by task."""
        project, share = snapshot.project.id, snapshot.policy.second_look.share
        last = self._drawn.get(project)
        if last is not None and last[0] is labels and last[1] == share:
            return last[2]
        secret, keys = snapshot.splits.secret, snapshot.dedup_keys
        known = self._draws.get(project)
        drawn = known[1] if known is not None and known[0] == secret else {}
        new = [key for label in labels.settled if (key := keys.get(label.task, "")) and key not in drawn]
        drawn.update(zip(new, draws(secret, "second look", new), strict=True))
        found = [label for label in labels.settled if drawn.get(keys.get(label.task, ""), 1.0) < share]
        self._draws.put(project, (secret, drawn), size=len(drawn))
        self._drawn.put(project, (labels, share, found), size=len(found))
        return found


def second_look_triggers(
    snapshot: ProjectSnapshot,
    drawn: Iterable[ConsensusLabel],
    resolved: Mapping[int, CaseRow],
    states: Mapping[int, str],
) -> list[CaseTrigger]:
    """Return a trigger for each drawn label, so that somebody decides its task again without seeing the answer.

    Each resolved case is looked at a second time at most once.
    """
    policy = snapshot.policy
    above = policy.tier_after(policy.first_tier)
    if above is None:
        return []
    found: list[CaseTrigger] = []
    for label in drawn:
        case = resolved.get(label.task)
        first_time = case is not None and case.round == 1 and case.rule != SECOND_LOOK
        if label.task not in states or first_time:
            tier = policy.tier_after(case.tier) if case and case.tier in policy.tiers else above
            if tier is not None:
                why = "drawn at random for a second look"
                trigger = _make_trigger(snapshot, label.task, tier, why, SECOND_LOOK, "", lambda _task: (None, None))
                found.append(replace(trigger, proposal=label.answer, proposed_by="people", priority="low"))
    return found


def has_clock(tier: Tier) -> bool:
    """Return whether people must act in a tier within a certain time."""
    return bool(tier.first_action_s or tier.resolve_s)


def list_open_requests(store: Store, project: str, policy: Policy) -> list[Signal]:
    """Return the requests for a person for which no case was opened yet."""
    if policy.rights.human_review == "never":
        return []
    return store.signals.list_unhandled_flags(project, HUMAN_REVIEW, but=ON_REQUEST)


def _reroute_unstarted(context: ReviewContext) -> None:
    """Send cases that nobody has started to the tier that the routing, or a new policy, now names."""
    routes, policy = context.snapshot.routes, context.policy
    for case in context.list_open_cases(in_first_tier=False):
        tier = routes.tiers.get(case.task, context.first_tier)
        unstarted = case.state == "queued" and case.started_s is None and case.rule not in _INTERNAL_RULES
        if case.tier not in policy.tiers:
            context.move(case, "recall", tier=context.first_tier, note=f"the policy has no tier {case.tier} any more")
        elif unstarted and tier != case.tier and case.task in routes.standing:
            rule = next((rule for rule in policy.routing if rule.id == routes.standing[case.task].rule), None)
            changes: dict[str, Any] = {}
            if rule is not None:
                changes = {"rule": rule.id, "skills": rule.skills, "why": rule.reason or f"rule {rule.id}"}
            context.move(case, "recall", tier=tier, note="the routing sends it elsewhere now", **changes)
            context.result.more_to_do = True


def _open_signalled(context: ReviewContext) -> None:
    """Open or reopen cases for decided tasks that a rule about signals now sends to a later tier."""
    snapshot, rules = context.snapshot, signal_rules(context.policy)
    tasks = [task for task in snapshot.routes.tiers if snapshot.routes.standing[task].rule in rules]
    if not tasks:
        return
    received_s = context.store.signals.list_received_times(context.project, frozenset[str]().union(*rules.values()))
    cases = {case.task: case for case in context.store.cases.list_cases(context.project, tasks=tasks)}
    triggers = signal_triggers(
        snapshot, context.consensus_labels, cases, received_s, model=context.model, model_answer=context.model_answer
    )
    _open_or_reopen(context, triggers)


def _open_requested(context: ReviewContext) -> None:
    """Give each request for a person its case, once, and record it as the proof."""
    signals = list_open_requests(context.store, context.project, context.policy)
    triggers = human_review_triggers(context.snapshot, signals, model=context.model, model_answer=context.model_answer)
    for signal, trigger in triggers:
        if (case := _case_for_request(context, trigger)) is not None:
            body = _request_record(signal, trigger, case, context.workflow)
            context.store.records.create_record(context.project, ON_REQUEST, body, key=signal.key)


def _case_for_request(context: ReviewContext, trigger: CaseTrigger) -> CaseRow | None:
    """Return the case in which a person decides: a new one, another round of it, or the open one, moved if needed."""
    if opened := context.workflow.open([trigger]):
        context.result.opened += 1
        return opened[0]
    (case,) = context.store.cases.list_cases(context.project, tasks=[trigger.task])
    if case.state not in OPEN_STATES:
        return None if case.state == "withdrawn" else context.reopen(case, trigger)
    tiers = list(context.policy.tiers)
    below = case.tier in tiers and tiers.index(case.tier) < tiers.index(trigger.tier)
    changes: dict[str, Any] = {"rule": ON_REQUEST, "priority": min(case.priority, priority_value(trigger.priority))}
    changes |= {"note": trigger.why, "within_s": trigger.within_s}
    if below:
        return context.move(case, "recall", tier=trigger.tier, why=trigger.why, **changes)
    if is_blind(case, context.policy):
        # a new review task, which shows everything
        changes |= {"why": trigger.why, "review_project": "", "review_task": None}
    return context.move(case, "promise", **changes)


def _open_or_reopen(context: ReviewContext, triggers: Sequence[CaseTrigger]) -> None:
    """Open a case for each trigger, or start another round of the task's closed case."""
    opened = {case.task for case in context.workflow.open(triggers)}
    context.result.opened += len(opened)
    of_existing = {trigger.task: trigger for trigger in triggers if trigger.task not in opened}
    for case in context.store.cases.list_cases(context.project, tasks=list(of_existing)) if of_existing else []:
        if case.state not in OPEN_STATES and case.state != "withdrawn":
            context.reopen(case, of_existing[case.task])


def _trigger_by_rule(
    snapshot: ProjectSnapshot, task: int, tier: str, model: str, model_answer: ModelAnswer
) -> CaseTrigger:
    route = snapshot.routes.standing[task]
    rule = next((rule for rule in snapshot.policy.routing if rule.id == route.rule), None)
    why = (rule.reason if rule else "") or f"rule {route.rule}"
    trigger = _make_trigger(snapshot, task, tier, why, route.rule, model, model_answer)
    return replace(trigger, skills=rule.skills if rule else (), priority=route.priority)


def _make_trigger(
    snapshot: ProjectSnapshot, task: int, tier: str, why: str, rule: str, model: str, model_answer: ModelAnswer
) -> CaseTrigger:
    answer, confidence = model_answer(task)
    route = snapshot.routes.standing.get(task)
    routing_rule = next((found for found in snapshot.policy.routing if route and found.id == route.rule), None)
    return CaseTrigger(
        task,
        tier,
        why,
        rule=rule,
        priority=route.priority if route else "normal",
        skills=routing_rule.skills if routing_rule else (),
        segment=segment_of(snapshot, task),
        proposal=answer,
        proposed_by="model" if answer else "",
        confidence=confidence,
        model=model if answer else "",
    )


def _request_record(signal: Signal, trigger: CaseTrigger, case: CaseRow, workflow: CaseWorkflow) -> dict[str, object]:
    """Return who asked, when, about which answer of which model, and which case was opened or reopened for it."""
    return {
        "task": trigger.task,
        "asked_s": signal.at_s,
        "source": signal.source,
        "note": signal.note,
        "case": case.id,
        "round": case.round,
        "tier": case.tier,
        "due_s": case.due_s,
        "model": trigger.model,
        "answer": trigger.proposal.key if trigger.proposal else None,
        "confidence": trigger.confidence,
        "policy": case.policy,
        "opened_s": workflow.now_s,
    }
