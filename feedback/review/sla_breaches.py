"""Acting on the SLA clocks: cases at risk are warned of, and breaches escalate, reassign or notify."""

from __future__ import annotations

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.policy.tiers import Tier
from feedback.review import sla_clock
from feedback.review.notifications import record_notification
from feedback.review.review_context import ReviewContext
from feedback.review.sla_clock import Alarm
from feedback.store import CaseRow

_MAX_DRAFT_REQUESTS = 50  # a turn: each case is one request


def act_on_clocks(context: ReviewContext, platform: LabellingPlatform | None) -> None:
    """Check the clocks of all open cases, and do what their tier says about each new alarm."""
    cases = context.list_open_cases()
    if platform is not None:
        cases = _start_cases_with_drafts(context, cases, platform)
    for case in cases:
        tier = context.policy.tiers.get(case.tier)
        if tier is not None:
            _check_case(context, case, tier)


def _check_case(context: ReviewContext, case: CaseRow, tier: Tier) -> None:
    current: CaseRow | None = case
    for alarm in sla_clock.new_alarms(case, tier, context.workflow.calendar(case.tier), context.workflow.now_s):
        if current is None or current.entered_s != case.entered_s or current.tier != case.tier:
            return  # the first alarm has restarted its clocks
        current = _act_on_alarm(context, current, tier, alarm)


def _act_on_alarm(context: ReviewContext, case: CaseRow, tier: Tier, alarm: Alarm) -> CaseRow | None:
    why = f"the {alarm.clock} clock {'has run out' if alarm.breached else 'is at risk'}"
    body = {"clock": alarm.clock, "breached": alarm.breached, "late_s": round(alarm.late_s, 1)}
    breaches = case.breaches + alarm.breached
    if alarm.breached and tier.on_breach == "escalate" and context.tier_above(case.tier):
        moved = context.escalate(case, why, body=body, breaches=breaches)
    elif alarm.breached and tier.on_breach == "reassign" and case.tier != context.first_tier:
        moved = context.move(case, "reassign", note=why, body=body, breaches=breaches)
    else:
        alarms = (*case.alarms, alarm.name)
        moved = context.move(case, "warn", note=why, body=body, breaches=breaches, alarms=alarms)
    if moved is not None:
        record_notification(context.store, moved, why, tier.notify, now_s=context.workflow.now_s, at_tier=case.tier)
    return moved


def _start_cases_with_drafts(
    context: ReviewContext, cases: list[CaseRow], platform: LabellingPlatform
) -> list[CaseRow]:
    """Start the queued cases whose task has a draft; return all cases as they are then.

    Label Studio sends no event for a draft, so we ask about the cases whose first-action clock runs, soonest due first.
    """
    case_of_task: dict[int, CaseRow] = {}
    for case in cases:
        task = case.task if case.tier == context.first_tier else case.review_task
        if case.state == "queued" and case.started_s is None and case.first_due_s is not None and task is not None:
            case_of_task[task] = case
    soonest = sorted(case_of_task, key=lambda task: case_of_task[task].first_due_s or 0.0)[:_MAX_DRAFT_REQUESTS]
    started: dict[int, CaseRow] = {}
    for task, (person, at_s) in platform.list_first_drafts(soonest).items() if soonest else ():
        case = case_of_task[task]
        if at_s < case.entered_s:
            continue  # left from an earlier stay
        moved = context.move(case, "start", person=person, note="a draft was seen", started_s=at_s)
        if moved is not None:
            started[case.id] = moved
    return [started.get(case.id, case) for case in cases]
