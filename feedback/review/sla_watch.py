"""Watching: who has begun, which clocks are at risk, and what happens when one has run out."""

from __future__ import annotations

from feedback.labelling_platform.interface import ReviewProjects
from feedback.policy.tiers import Tier
from feedback.review import sla
from feedback.review.notifications import note
from feedback.review.round_state import Round
from feedback.review.sla import Alarm
from feedback.store import CaseRow

_DRAFTS = 50  # cases a turn whose drafts are asked for: each is a request


def watch_clocks(round_: Round, rooms: ReviewProjects | None) -> None:
    """Warn of what is at risk; what has run out escalates, goes to others, or is told, as its tier says."""
    live = round_.live()
    if rooms is not None:
        live = _see_drafts(round_, live, rooms)
    for case in live:
        tier = round_.snapshot.policy.tiers.get(case.tier)
        if tier is not None:
            _watch(round_, case, tier)


def _watch(round_: Round, case: CaseRow, tier: Tier) -> None:
    now: CaseRow | None = case
    for alarm in sla.look(case, tier, round_.book.calendar(case.tier), round_.book.now_s):
        if now is None or now.entered_s != case.entered_s or now.tier != case.tier:
            return  # its clocks began anew
        now = _alarm(round_, now, tier, alarm)


def _alarm(round_: Round, case: CaseRow, tier: Tier, alarm: Alarm) -> CaseRow | None:
    words = f"the {alarm.clock} clock {'has run out' if alarm.breached else 'is at risk'}"
    body = {"clock": alarm.clock, "breached": alarm.breached, "late_s": round(alarm.late_s, 1)}
    breaches = case.breaches + alarm.breached
    if alarm.breached and tier.on_breach == "escalate" and round_.above(case.tier):
        moved = round_.escalate(case, words, body=body, breaches=breaches)
    elif alarm.breached and tier.on_breach == "reassign" and case.tier != round_.first:
        moved = round_.move(case, "reassign", note=words, body=body, breaches=breaches)
    else:
        alarms = (*case.alarms, alarm.name)
        moved = round_.move(case, "warn", note=words, body=body, breaches=breaches, alarms=alarms)
    if moved is not None:
        note(round_.store, moved, words, tier.notify, now_s=round_.book.now_s, at_tier=case.tier)
    return moved


def _see_drafts(round_: Round, live: list[CaseRow], rooms: ReviewProjects) -> list[CaseRow]:
    """Label Studio sends no event for a draft, so the cases with a clock on the first action are asked about."""
    waiting: dict[int, CaseRow] = {}
    for case in live:
        task = case.task if case.tier == round_.first else case.review_task
        if case.state == "queued" and case.started_s is None and case.first_due_s is not None and task is not None:
            waiting[task] = case
    soonest = sorted(waiting, key=lambda task: waiting[task].first_due_s or 0.0)[:_DRAFTS]
    begun: dict[int, CaseRow] = {}
    for task, (person, at_s) in rooms.first_drafts(soonest).items() if soonest else ():
        case = waiting[task]
        if at_s < case.entered_s:
            continue  # left over from before
        moved = round_.move(case, "start", person=person, note="a draft was seen", started_s=at_s)
        if moved is not None:
            begun[case.id] = moved
    return [begun.get(case.id, case) for case in live]
