"""Why cases are opened: rules, disagreement, skips, clocks, random second looks, signals and requests for a person."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from feedback.policy import Policy
from feedback.policy.conditions import condition_fields
from feedback.policy.field_types import parse_duration_s
from feedback.policy.reviewer_questions import HUMAN_REVIEW
from feedback.policy.rules import Rule
from feedback.policy.tiers import Tier
from feedback.project.incremental_caches import RecentProjects
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.case_state_machine import (
    ESCALATED,
    ON_REQUEST,
    OPEN_STATES,
    SECOND_LOOK,
    is_blind,
    priority_value,
)
from feedback.review.overrides import segment_of
from feedback.review.review_context import ReviewContext
from feedback.stats.hash_sampling import draws
from feedback.store import CaseRow, CurrentDecision, Signal, Store
from feedback.training.consensus_labels import ConsensusLabels
from feedback.training.dataset import ConsensusLabel
from ml_backend.left_out import compute_rows, contained

DISAGREEMENT, SKIPPED = "disagreement", "skipped"
# the rule of a case that no routing rule opened
_INTERNAL_RULES = ("", DISAGREEMENT, SKIPPED, ESCALATED, SECOND_LOOK, ON_REQUEST)


def open_cases(context: ReviewContext, second_looks: SecondLookCache) -> None:
    """Open and reopen cases for all triggers of this turn; withdraw the cases of deleted tasks."""
    cases = context.cases.by_task
    for task in sorted(cases.keys() - context.snapshot.tasks.keys()):
        if cases[task].state != "withdrawn":
            context.move(cases[task], "withdraw", note="the task was deleted")
    _hide_from_measuring(context)
    _reroute_unstarted(context)
    opened = compute_rows("open the case", _find_new_cases(context), context.workflow.open, name=_name_task)
    context.result.opened += sum(case is not None for case in opened)
    _open_signalled(context)
    _open_requested(context)
    if context.policy.second_look.share:
        drawn = second_looks.list_drawn(context.snapshot, context.consensus_labels)
        _open_or_reopen(context, _second_looks(context, drawn))


def _name_task(case: CaseRow) -> str:
    return f"task {case.task}"


def _find_new_cases(context: ReviewContext) -> list[CaseRow]:
    """Return a new case for each task that needs one and has none.

    That is an unsettled task, or an audit task that its rule sends on once the first tier has settled it.
    """
    policy, snapshot, routes = context.policy, context.snapshot, context.snapshot.routes
    first, above = policy.first_tier, policy.tier_after(policy.first_tier)
    skipped: set[int] = set()
    if policy.tiers[first].skip_means == "escalate":
        skipped = {skip.task for skip in context.store.annotations.list_skips(context.project, without_case=True)}
    votes, clock_runs = snapshot.votes_by_task, has_clock(policy.tiers[first])
    tasks = snapshot.tasks.keys() if clock_runs else routes.tiers.keys() | votes.keys() | skipped
    settled = {label.task for label in context.consensus_labels.settled}
    tasks = (tasks - settled) | (routes.first_tier_before & settled)

    def make(task: int) -> CaseRow | None:
        n_answers, wants_votes = len(votes.get(task, ())), task in context.consensus_labels.needs_more_votes
        if task in routes.tiers and (task in settled or task not in routes.first_tier_before):
            return _case_by_rule(context, task)
        if above and (why := blocked_reason(n_answers, wants_votes=wants_votes, skipped=task in skipped)):
            return _new_case(context, task, above, *why)
        if clock_runs and task not in routes.held and not snapshot.tasks[task].is_labeled:
            return _new_case(context, task, first, "its clock runs", "")
        return None

    return _make_cases(sorted((tasks - context.cases.by_task.keys()) & snapshot.tasks.keys()), make)


def _make_cases(tasks: Sequence[int], make: Callable[[int], CaseRow | None]) -> list[CaseRow]:
    """Return the new case of each task that has one; a task for which it cannot be made is left out."""
    made = compute_rows("open the case", tasks, lambda part: [make(task) for task in part])
    return [case for case in made if case is not None]


def blocked_reason(n_answers: int, *, wants_votes: bool, skipped: bool) -> tuple[str, str] | None:
    """Return why the first tier cannot settle an unsettled task, as (text, rule); None where it still can."""
    if skipped and not n_answers:
        return "somebody skipped it, so a person with more experience decides", SKIPPED
    if n_answers and not wants_votes:
        return f"{n_answers} people differ, and no more are asked", DISAGREEMENT
    return None


def _signal_rules(policy: Policy) -> dict[str, frozenset[str]]:
    """Return, for each rule that reads signals and sends tasks to a later tier, the names of these signals."""
    found: dict[str, frozenset[str]] = {}
    for rule, condition in zip(policy.routing, policy.conditions(), strict=True):
        signal_names = {field.split(".")[1] for field in condition_fields(condition) if field.startswith("signal.")}
        if signal_names and rule.to in policy.tiers and rule.to != policy.first_tier:
            found[rule.id] = frozenset(signal_names)
    return found


@dataclass(frozen=True, slots=True)
class _Draws:
    secret: str
    draw_of: dict[str, float]  # by the key of the content; of all tasks that ever had a label
    labels: ConsensusLabels
    share: float
    drawn: list[ConsensusLabel]


class SecondLookCache:
    """Keeps which decided tasks of the projects used last are drawn for a second look.

    The draw is keyed on the task's content: nobody can predict it, and a larger share includes that of a smaller one.
    """

    def __init__(self) -> None:
        self._kept = RecentProjects[_Draws]()

    def list_drawn(self, snapshot: ProjectSnapshot, labels: ConsensusLabels) -> list[ConsensusLabel]:
        """Return the labels of the drawn tasks, by task."""
        project, share = snapshot.project.id, snapshot.policy.second_look.share
        secret, keys = snapshot.splits.secret, snapshot.dedup_keys
        last = self._kept.get(project)
        if last is not None and last.labels is labels and last.share == share:
            return last.drawn
        draw_of = last.draw_of if last is not None and last.secret == secret else {}
        new = [key for label in labels.settled if (key := keys.get(label.task, "")) and key not in draw_of]
        draw_of.update(zip(new, draws(secret, "second look", new), strict=True))
        drawn = [label for label in labels.settled if draw_of.get(keys.get(label.task, ""), 1.0) < share]
        self._kept.put(project, _Draws(secret, draw_of, labels, share, drawn), size=len(draw_of))
        return drawn


def _second_looks(context: ReviewContext, drawn: Iterable[ConsensusLabel]) -> list[CaseRow]:
    """Return a new case for each drawn label, so that somebody decides its task again without seeing the answer.

    Each resolved case is looked at a second time at most once.
    """
    policy, cases = context.policy, context.cases.by_task
    above = policy.tier_after(policy.first_tier)
    found: list[CaseRow] = []
    for label in drawn:
        case = cases.get(label.task)
        first_time = case is None or (case.state == "resolved" and case.round == 1 and case.rule != SECOND_LOOK)
        tier = policy.tier_after(case.tier) if case and case.tier in policy.tiers else above
        if above and first_time and tier is not None:
            why = "drawn at random for a second look"
            new = _new_case(context, label.task, tier, why, SECOND_LOOK, by_model=False)
            found.append(replace(new, proposal=label.answer, proposed_by="people", priority=priority_value("low")))
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
        with contained("route the case", f"case {case.id}"):
            tier = routes.tiers.get(case.task, context.policy.first_tier)
            unstarted = case.state == "queued" and case.started_s is None and case.rule not in _INTERNAL_RULES
            if case.tier not in policy.tiers:
                context.move(
                    case, "recall", tier=policy.first_tier, note=f"the policy has no tier {case.tier} any more"
                )
            elif unstarted and tier != case.tier and case.task in routes.standing:
                changes: dict[str, Any] = {}
                if rule := _rule_of(context, case.task):
                    changes = {"rule": rule.id, "skills": rule.skills, "why": rule.reason or f"rule {rule.id}"}
                context.move(case, "recall", tier=tier, note="the routing sends it elsewhere now", **changes)
                context.result.more_to_do = True


def _hide_from_measuring(context: ReviewContext) -> None:
    """Make the open cases blind whose task was drawn to measure since they were opened."""
    roles = context.snapshot.roles
    for case in context.cases.by_task.values():
        if case.state in OPEN_STATES and not case.measures and roles.get(case.task, "train") != "train":
            note = "its task was drawn to measure: nothing is shown on it from now on"
            context.move(case, "promise", note=note, measures=True)


def _open_signalled(context: ReviewContext) -> None:
    """Open or reopen cases for decided tasks that a rule now sends to a later tier because of a newer signal."""
    routes, rules = context.snapshot.routes, _signal_rules(context.policy)
    names_of = {task: rules[rule] for task in routes.tiers if (rule := routes.standing[task].rule) in rules}
    if not names_of:
        return
    received_s = context.store.signals.list_received_times(context.project, frozenset[str]().union(*rules.values()))
    decided_s: dict[int, float | None] = {label.task: 0.0 for label in context.consensus_labels.settled}
    for case in context.store.cases.list_cases(context.project, tasks=list(names_of)):
        decided_s[case.task] = case.resolved_s if case.state == "resolved" else None
    newer: list[int] = []
    for task in names_of.keys() & context.snapshot.tasks.keys():
        newest_s = max(received_s.get((task, name), -math.inf) for name in names_of[task])
        if (since_s := decided_s.get(task)) is not None and newest_s > since_s:
            newer.append(task)
    _open_or_reopen(context, _make_cases(sorted(newer), partial(_case_by_rule, context)))


def _open_requested(context: ReviewContext) -> None:
    """Give each request for a person its case, once, and record it as the proof.

    The case goes to the tier, and is due within the time, that the policy promises.
    """
    policy = context.policy
    tier = policy.rights.tier or policy.tier_after(policy.first_tier) or policy.first_tier
    within_s = parse_duration_s(policy.rights.within)
    for signal in list_open_requests(context.store, context.project, context.policy):
        with contained("open the case", f"signal {signal.key}"):
            if signal.task is None or signal.task not in context.snapshot.tasks:
                continue
            new = _new_case(context, signal.task, tier, signal.note or "a person was asked for", ON_REQUEST)
            new = replace(new, priority=priority_value("high"))
            if (case := _case_for_request(context, new, within_s)) is not None:
                body = {
                    "task": new.task,
                    "asked_s": signal.at_s,
                    "source": signal.source,
                    "note": signal.note,
                    "case": case.id,
                    "round": case.round,
                    "tier": case.tier,
                    "due_s": case.due_s,
                    "model": new.model,
                    "answer": new.proposal.key if new.proposal else None,
                    "confidence": new.confidence,
                    "policy": case.policy,
                    "opened_s": context.workflow.now_s,
                }
                context.store.records.create_record(context.project, ON_REQUEST, body, key=signal.key)


def _case_for_request(context: ReviewContext, new: CaseRow, within_s: float) -> CaseRow | None:
    """Return the case in which a person decides: a new one, another round of it, or the open one, moved if needed."""
    if opened := context.workflow.open([new], within_s=within_s):
        context.result.opened += 1
        return opened[0]
    (case,) = context.store.cases.list_cases(context.project, tasks=[new.task])
    if case.state not in OPEN_STATES:
        return None if case.state == "withdrawn" else context.reopen(case, new, within_s=within_s)
    tiers = list(context.policy.tiers)
    below = case.tier in tiers and tiers.index(case.tier) < tiers.index(new.tier)
    changes: dict[str, Any] = {"rule": ON_REQUEST, "priority": min(case.priority, new.priority)}
    changes |= {"note": new.why, "within_s": within_s, "measures": new.measures}
    if below:
        return context.move(case, "recall", tier=new.tier, why=new.why, **changes)
    if is_blind(case, context.policy) and not new.measures:
        # a new review task, which shows everything
        changes |= {"why": new.why, "review_project": "", "review_task": None}
    return context.move(case, "promise", **changes)


def _open_or_reopen(context: ReviewContext, new: Sequence[CaseRow]) -> None:
    """Open these cases, or start another round of the task's closed case."""
    opened = {case.task for case in context.workflow.open(new)}
    context.result.opened += len(opened)
    of_existing = {case.task: case for case in new if case.task not in opened}
    for case in context.store.cases.list_cases(context.project, tasks=list(of_existing)) if of_existing else []:
        if case.state not in OPEN_STATES and case.state != "withdrawn":
            context.reopen(case, of_existing[case.task])


def _case_by_rule(context: ReviewContext, task: int) -> CaseRow:
    routes = context.snapshot.routes
    rule = _rule_of(context, task)
    why = (rule.reason if rule else "") or f"rule {routes.standing[task].rule}"
    return _new_case(context, task, routes.tiers[task], why, routes.standing[task].rule)


def _new_case(context: ReviewContext, task: int, tier: str, why: str, rule: str, *, by_model: bool = True) -> CaseRow:
    """Return a case with the priority and the skills of the task's route; `by_model` proposes the model's answer."""
    answer, confidence = context.model_answer(task) if by_model else (None, None)
    route, routing_rule = context.snapshot.routes.standing.get(task), _rule_of(context, task)
    return CaseRow(
        context.project,
        task,
        "queued",
        tier,
        why=why,
        rule=rule,
        priority=priority_value(_priority_of(route, routing_rule)),
        skills=routing_rule.skills if routing_rule else (),
        segment=segment_of(context.snapshot, task),
        measures=context.snapshot.roles[task] != "train",
        proposal=answer,
        proposed_by="model" if answer else "",
        confidence=confidence,
        model=context.model if answer else "",
    )


def _priority_of(route: CurrentDecision | None, rule: Rule | None) -> str:
    """Return the priority of a case: that of the route, or of the rule itself where the first tier came before it."""
    if rule is not None and route is not None and route.sample:
        return rule.priority
    return route.priority if route else "normal"


def _rule_of(context: ReviewContext, task: int) -> Rule | None:
    """Return the routing rule that a task's route comes from."""
    route = context.snapshot.routes.standing.get(task)
    return next((rule for rule in context.policy.routing if route and rule.id == route.rule), None)
