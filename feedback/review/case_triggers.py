"""Needs: which tasks want a case now, and why: rules, disagreement, skips, clocks, draws and requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from feedback.policy import Policy
from feedback.policy.conditions import condition_fields
from feedback.policy.reviewer_questions import HUMAN_REVIEW
from feedback.policy.sections import parse_duration_s
from feedback.policy.tiers import Tier
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
from feedback.training.label_decisions import ConsensusLabels
from ml_backend.records import Answer

DISAGREEMENT, SKIPPED = "disagreement", "skipped"


def find_case_triggers(
    snapshot: ProjectSnapshot,
    consensus_labels: ConsensusLabels,
    skips: Iterable[Skip],
    known: Mapping[int, str],
    *,
    model: str,
    model_answer: ModelAnswer,
) -> list[CaseTrigger]:
    """Name the tasks without a case that want one; `known` holds the state of each task that has one."""
    policy = snapshot.policy
    first, above = policy.first_tier, policy.tier_after(policy.first_tier)
    settled = {one.task for one in consensus_labels.settled}
    skipped = {skip.task for skip in skips} if policy.tiers[first].skip_means == "escalate" else set()
    votes: dict[int, list[Answer]] = {}
    for vote in snapshot.votes:
        votes.setdefault(vote.task, []).append(vote.answer)
    found: list[CaseTrigger] = []
    for task in snapshot.tasks:
        if task in known or task in settled:
            continue
        if task in snapshot.routes.tiers:
            found.append(_trigger_by_rule(snapshot, task, snapshot.routes.tiers[task], model, model_answer))
        elif above and (why := blocked_reason(votes.get(task, ()), task in consensus_labels.wanting, task in skipped)):
            found.append(_make_trigger(snapshot, task, above, *why, model, model_answer))
        elif (
            has_clock(policy.tiers[first]) and task not in snapshot.routes.held and not snapshot.tasks[task].is_labeled
        ):
            found.append(_make_trigger(snapshot, task, first, "its clock runs", "", model, model_answer))
    return found


def blocked_reason(votes: Iterable[Answer], wanting: bool, skipped: bool) -> tuple[str, str] | None:  # noqa: FBT001
    """Why the first tier gets no further with an unsettled task, as (words, rule); None where it does."""
    said = list(votes)
    if skipped and not said:
        return "somebody skipped it, which asks for more experience", SKIPPED
    if said and not wanting:
        return f"{len(said)} people differ, and no more are asked", DISAGREEMENT
    return None


def human_review_triggers(
    snapshot: ProjectSnapshot, signals: Iterable[Signal], *, model: str, model_answer: ModelAnswer
) -> list[tuple[Signal, CaseTrigger]]:
    """What those who ask for a person are owed: a case at the tier that the policy promises, by when it promises it."""
    tier, within_s = human_review_tier(snapshot.policy), parse_duration_s(snapshot.policy.rights.within)
    found = []
    for signal in signals:
        if signal.task is not None and signal.task in snapshot.tasks:
            made = _make_trigger(
                snapshot, signal.task, tier, signal.note or "a person was asked for", ON_REQUEST, model, model_answer
            )
            found.append((signal, replace(made, within_s=within_s, priority="high")))
    return found


def human_review_tier(policy: Policy) -> str:
    """The tier that looks when a person is asked for."""
    return policy.rights.tier or policy.tier_after(policy.first_tier) or policy.first_tier


def signal_rules(policy: Policy) -> dict[str, frozenset[str]]:
    """The signals that each rule looks at which sends tasks to a later tier."""
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
    told_s: Mapping[tuple[int, str], float],
    *,
    model: str,
    model_answer: ModelAnswer,
) -> list[CaseTrigger]:
    """What people had decided, and somebody has told of since, so that a rule sends it to a later tier now.

    `told_s` says when by task and signal, `cases` holds those of such tasks.
    """
    rules, settled = signal_rules(snapshot.policy), {one.task for one in consensus_labels.settled}
    found: list[CaseTrigger] = []
    for task, tier in snapshot.routes.tiers.items():
        names = rules.get(snapshot.routes.standing[task].rule, frozenset())
        last_s = max((told_s[task, name] for name in names if (task, name) in told_s), default=None)
        if last_s is None or task not in snapshot.tasks:
            continue
        case = cases.get(task)
        since_s = 0.0 if case is None else case.resolved_s if case.state == "resolved" else None
        if since_s is not None and last_s > since_s and (case is not None or task in settled):
            found.append(_trigger_by_rule(snapshot, task, tier, model, model_answer))
    return found


def second_look_triggers(
    snapshot: ProjectSnapshot, consensus_labels: ConsensusLabels, cases: Mapping[int, CaseRow], known: Mapping[int, str]
) -> list[CaseTrigger]:
    """A random share of what people decided, to be decided again by somebody who sees nothing of the first time.

    Drawn by key on the task's content: nobody can tell beforehand, and a larger share keeps those of a smaller one.
    `cases` are the resolved ones by task; each is looked at again once.
    """
    policy = snapshot.policy
    above = policy.tier_after(policy.first_tier)
    if above is None or not policy.second_look.share:
        return []
    decided = [one for one in consensus_labels.settled if one.task in snapshot.units]
    drawn = draws(snapshot.draws.secret, "second look", [snapshot.units[one.task] for one in decided])
    found: list[CaseTrigger] = []
    for one, share in zip(decided, drawn, strict=True):
        case = cases.get(one.task)
        once = case is not None and case.round == 1 and case.rule != SECOND_LOOK
        fresh = one.task not in known or once
        if share < policy.second_look.share and fresh:
            tier = policy.tier_after(case.tier) if case and case.tier in policy.tiers else above
            if tier is not None:
                words = "drawn at random for a second look"
                made = _make_trigger(snapshot, one.task, tier, words, SECOND_LOOK, "", lambda _task: (None, None))
                found.append(replace(made, proposal=one.answer, proposed_by="people", priority="low"))
    return found


def has_clock(tier: Tier) -> bool:
    """Whether somebody must act in a tier by a certain time."""
    return bool(tier.first_action_s or tier.resolve_s)


def _trigger_by_rule(
    snapshot: ProjectSnapshot, task: int, tier: str, model: str, model_answer: ModelAnswer
) -> CaseTrigger:
    standing = snapshot.routes.standing[task]
    rule = next((one for one in snapshot.policy.routing if one.id == standing.rule), None)
    why = (rule.reason if rule else "") or f"rule {standing.rule}"
    made = _make_trigger(snapshot, task, tier, why, standing.rule, model, model_answer)
    return replace(made, skills=rule.skills if rule else (), priority=standing.priority)


def _make_trigger(
    snapshot: ProjectSnapshot, task: int, tier: str, why: str, rule: str, model: str, model_answer: ModelAnswer
) -> CaseTrigger:
    answer, confidence = model_answer(task)
    standing = snapshot.routes.standing.get(task)
    by_rule = next((one for one in snapshot.policy.routing if standing and one.id == standing.rule), None)
    return CaseTrigger(
        task,
        tier,
        why,
        rule=rule,
        priority=standing.priority if standing else "normal",
        skills=by_rule.skills if by_rule else (),
        segment=segment_of(snapshot, task),
        proposal=answer,
        proposed_by="model" if answer else "",
        confidence=confidence,
        model=model if answer else "",
    )


_INTERNAL_RULES = (
    "",
    DISAGREEMENT,
    SKIPPED,
    ESCALATED,
    SECOND_LOOK,
    ON_REQUEST,
)  # why a case is here, where no rule sent it


def open_cases(context: ReviewContext) -> None:
    """Open whatever the rules, the votes, the draws and the askers want; close what was deleted."""
    store, snapshot = context.store, context.snapshot
    known = store.cases.list_case_states(context.project)
    gone = [task for task, state in known.items() if task not in snapshot.tasks and state != "withdrawn"]
    for case in store.cases.list_cases(context.project, tasks=gone) if gone else []:
        context.move(case, "withdraw", note="the task was deleted")
    _reroute_unstarted(context)
    skips = [skip for skipped in context.skips.values() for skip in skipped]
    wanted = find_case_triggers(
        snapshot, context.consensus_labels, skips, known, model=context.model, model_answer=context.model_answer
    )
    context.result.opened += len(context.workflow.open(wanted))
    _reopen_signalled(context)
    _open_requested(context)
    if snapshot.policy.second_look.share:
        resolved = {case.task: case for case in store.cases.list_cases(context.project, states=("resolved",))}
        _open_or_reopen(
            context,
            second_look_triggers(
                snapshot, context.consensus_labels, resolved, store.cases.list_case_states(context.project)
            ),
        )


def _reroute_unstarted(context: ReviewContext) -> None:
    """Send cases that nobody has begun where the routing, or a policy without their tier, wants them now."""
    routes, policy = context.snapshot.routes, context.snapshot.policy
    for case in context.list_open_cases(in_first_tier=False):
        wanted = routes.tiers.get(case.task, context.first_tier)
        untouched = case.state == "queued" and case.started_s is None and case.rule not in _INTERNAL_RULES
        if case.tier not in policy.tiers:
            context.move(case, "recall", tier=context.first_tier, note=f"the policy has no tier {case.tier} any more")
        elif untouched and wanted != case.tier and case.task in routes.standing:
            by = next((rule for rule in policy.routing if rule.id == routes.standing[case.task].rule), None)
            now = {"rule": by.id, "skills": by.skills, "why": by.reason or f"rule {by.id}"} if by else {}
            context.move(case, "recall", tier=wanted, note="the routing sends it elsewhere now", **now)
            context.result.more_to_do = True


def _reopen_signalled(context: ReviewContext) -> None:
    """Open again what was decided, where a rule about signals sends it to a later tier."""
    snapshot, rules = context.snapshot, signal_rules(context.snapshot.policy)
    tasks = [task for task in snapshot.routes.tiers if snapshot.routes.standing[task].rule in rules]
    if not tasks:
        return
    told_s = context.store.signals.list_received_times(context.project, frozenset[str]().union(*rules.values()))
    cases = {case.task: case for case in context.store.cases.list_cases(context.project, tasks=tasks)}
    wanted = signal_triggers(
        snapshot, context.consensus_labels, cases, told_s, model=context.model, model_answer=context.model_answer
    )
    _open_or_reopen(context, wanted)


def list_open_requests(store: Store, project: str, policy: Policy) -> list[Signal]:
    """Who asked for a person, and has no answer of ours yet."""
    if policy.rights.human_review == "never":
        return []
    return store.signals.list_unhandled_flags(project, HUMAN_REVIEW, but=ON_REQUEST)


def _open_requested(context: ReviewContext) -> None:
    """Whoever asked for a person gets one, once for each request; the record of it is the proof."""
    signals = list_open_requests(context.store, context.project, context.snapshot.policy)
    for signal, trigger in human_review_triggers(
        context.snapshot, signals, model=context.model, model_answer=context.model_answer
    ):
        if (case := _case_for_request(context, trigger)) is not None:
            context.store.records.create_record(
                context.project, ON_REQUEST, _request_record(signal, trigger, case, context.workflow), key=signal.key
            )


def _case_for_request(context: ReviewContext, trigger: CaseTrigger) -> CaseRow | None:
    """The case in which somebody looks: a new one, another round of it, or the one that is under way."""
    if fresh := context.workflow.open([trigger]):
        context.result.opened += 1
        return fresh[0]
    (case,) = context.store.cases.list_cases(context.project, tasks=[trigger.task])
    if case.state not in OPEN_STATES:
        return None if case.state == "withdrawn" else context.reopen(case, trigger)
    tiers = list(context.snapshot.policy.tiers)
    below = case.tier in tiers and tiers.index(case.tier) < tiers.index(trigger.tier)
    changes: dict[str, Any] = {"rule": ON_REQUEST, "priority": min(case.priority, priority_value(trigger.priority))}
    changes |= {"note": trigger.why, "within_s": trigger.within_s}
    if below:
        return context.move(case, "recall", tier=trigger.tier, why=trigger.why, **changes)
    if is_blind(case, context.snapshot.policy):
        changes |= {"why": trigger.why, "review_project": "", "review_task": None}  # a new copy, which shows everything
    return context.move(case, "promise", **changes)


def _open_or_reopen(context: ReviewContext, wanted: Sequence[CaseTrigger]) -> None:
    """Begin a case, or another round of the one that is there."""
    fresh = {case.task for case in context.workflow.open(wanted)}
    context.result.opened += len(fresh)
    again = {trigger.task: trigger for trigger in wanted if trigger.task not in fresh}
    for case in context.store.cases.list_cases(context.project, tasks=list(again)) if again else []:
        if case.state not in OPEN_STATES and case.state != "withdrawn":
            context.reopen(case, again[case.task])


def _request_record(signal: Signal, trigger: CaseTrigger, case: CaseRow, workflow: CaseWorkflow) -> dict[str, object]:
    """Who asked, when, about which answer of which model, and which case came of it."""
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
