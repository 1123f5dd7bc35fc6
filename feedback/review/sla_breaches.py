"""Watching: who has begun, which clocks are at risk, and what happens when one has run out."""

from __future__ import annotations

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.policy.tiers import Tier
from feedback.review import sla_clock
from feedback.review.notifications import record_notification
from feedback.review.review_context import ReviewContext
from feedback.review.sla_clock import Alarm
from feedback.store import CaseRow

_MAX_DRAFT_REQUESTS = 50  # cases a turn whose drafts are asked for: each is a request


def act_on_clocks(context: ReviewContext, platform: LabellingPlatform | None) -> None:
    """Warn of what is at risk; what has run out escalates, goes to others, or is told, as its tier says."""
    live = context.list_open_cases()
    if platform is not None:
        live = _start_by_drafts(context, live, platform)
    for case in live:
        tier = context.snapshot.policy.tiers.get(case.tier)
        if tier is not None:
            _check_case(context, case, tier)


def _check_case(context: ReviewContext, case: CaseRow, tier: Tier) -> None:
    now: CaseRow | None = case
    for alarm in sla_clock.new_alarms(case, tier, context.workflow.calendar(case.tier), context.workflow.now_s):
        if now is None or now.entered_s != case.entered_s or now.tier != case.tier:
            return  # its clocks began anew
        now = _act_on_alarm(context, now, tier, alarm)


def _act_on_alarm(context: ReviewContext, case: CaseRow, tier: Tier, alarm: Alarm) -> CaseRow | None:
    words = f"the {alarm.clock} clock {'has run out' if alarm.breached else 'is at risk'}"
    body = {"clock": alarm.clock, "breached": alarm.breached, "late_s": round(alarm.late_s, 1)}
    breaches = case.breaches + alarm.breached
    if alarm.breached and tier.on_breach == "escalate" and context.tier_above(case.tier):
        moved = context.escalate(case, words, body=body, breaches=breaches)
    elif alarm.breached and tier.on_breach == "reassign" and case.tier != context.first_tier:
        moved = context.move(case, "reassign", note=words, body=body, breaches=breaches)
    else:
        alarms = (*case.alarms, alarm.name)
        moved = context.move(case, "warn", note=words, body=body, breaches=breaches, alarms=alarms)
    if moved is not None:
        record_notification(context.store, moved, words, tier.notify, now_s=context.workflow.now_s, at_tier=case.tier)
    return moved


def _start_by_drafts(context: ReviewContext, live: list[CaseRow], platform: LabellingPlatform) -> list[CaseRow]:
    """Label Studio sends no event for a draft, so the cases with a clock on the first action are asked about."""
    waiting: dict[int, CaseRow] = {}
    for case in live:
        task = case.task if case.tier == context.first_tier else case.review_task
        if case.state == "queued" and case.started_s is None and case.first_due_s is not None and task is not None:
            waiting[task] = case
    soonest = sorted(waiting, key=lambda task: waiting[task].first_due_s or 0.0)[:_MAX_DRAFT_REQUESTS]
    begun: dict[int, CaseRow] = {}
    for task, (person, at_s) in platform.list_first_drafts(soonest).items() if soonest else ():
        case = waiting[task]
        if at_s < case.entered_s:
            continue  # left over from before
        moved = context.move(case, "start", person=person, note="a draft was seen", started_s=at_s)
        if moved is not None:
            begun[case.id] = moved
    return [begun.get(case.id, case) for case in live]
