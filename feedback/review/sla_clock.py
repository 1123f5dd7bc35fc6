"""Clocks: seconds of business hours in a time zone, when a case is due, and what a look at the clock finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from math import isfinite
from typing import Literal
from zoneinfo import ZoneInfo

from feedback.policy.calendars import WEEKDAYS, Calendar
from feedback.policy.tiers import Tier
from feedback.store import CaseRow

Clock = Literal["first action", "resolve"]
_LONGEST_DAYS = 3660  # a calendar that holds no hour in ten years holds none
_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class Alarm:
    """A clock that has passed its warning, or run out."""

    clock: Clock
    breached: bool  # False: at risk
    late_s: float  # since it ran out, in plain seconds; negative: until it does

    @property
    def name(self) -> str:
        """How the case remembers that it was said: "resolve at risk"."""
        return f"{self.clock} {'breached' if self.breached else 'at risk'}"


def due_time(calendar: Calendar | None, start_s: float, wanted_s: float) -> float:
    """When `wanted_s` seconds of business hours have passed since `start_s`; epoch seconds, infinite beyond ten years.

    Without a calendar every second counts. Hours that a change of the clocks takes away or doubles count as they pass.

    >>> monday_16h = datetime(2026, 11, 16, 16, tzinfo=UTC).timestamp()
    >>> datetime.fromtimestamp(due_time(Calendar(), monday_16h, 2 * 3600), UTC).isoformat()
    '2026-11-17T10:00:00+00:00'
    """
    if calendar is None:
        return start_s + wanted_s
    left_s = wanted_s
    for begin_s, end_s in _business_spans(calendar, start_s):
        begin_s = max(begin_s, start_s)
        if end_s - begin_s >= left_s:
            return begin_s + left_s
        left_s -= end_s - begin_s
    return float("inf")


def business_seconds(calendar: Calendar | None, start_s: float, end_s: float) -> float:
    """Seconds of business hours between two times; 0 where the second is not later.

    >>> friday_16h = datetime(2026, 11, 20, 16, tzinfo=UTC).timestamp()
    >>> business_seconds(Calendar(), friday_16h, friday_16h + 3 * 86_400) / 3600  # until Monday, 16:00
    8.0
    """
    if end_s <= start_s:
        return 0.0
    if calendar is None:
        return end_s - start_s
    total = 0.0
    for begin_s, stop_s in _business_spans(calendar, start_s):
        if begin_s >= end_s:
            break
        total += min(stop_s, end_s) - max(begin_s, start_s)
    return total


def start_clocks(
    case: CaseRow, tier: Tier, calendar: Calendar | None, now_s: float, *, within_s: float = 0.0
) -> CaseRow:
    """Set the clocks of a case that comes to a tier; `within_s` is a promise that may be shorter than the tier's."""
    resolve_s = min((one for one in (tier.resolve_s, within_s) if one), default=0.0)
    return replace(
        case,
        entered_s=now_s,
        started_s=None,
        paused_s=None,
        alarms=(),
        first_due_s=_expiry_time(calendar, now_s, tier.first_action_s) if tier.first_action_s else None,
        due_s=_expiry_time(calendar, now_s, resolve_s) if resolve_s else None,
    )


def promise_within(case: CaseRow, calendar: Calendar | None, now_s: float, within_s: float) -> CaseRow:
    """Bring forward by when a case is wanted; a clock that stands still counts the promise from where it stopped."""
    from_s = now_s if case.paused_s is None else case.paused_s
    due_s = _expiry_time(calendar, from_s, within_s) if within_s else None
    return replace(case, due_s=min((one for one in (case.due_s, due_s) if one is not None), default=None))


def pause_clocks(case: CaseRow, now_s: float) -> CaseRow:
    """Stop the clocks."""
    return case if case.paused_s is not None else replace(case, paused_s=now_s)


def resume_clocks(case: CaseRow, calendar: Calendar | None, now_s: float) -> CaseRow:
    """Let the clocks go on with the business hours that were left when they stopped."""
    if case.paused_s is None:
        return case

    def moved(at_s: float | None) -> float | None:
        if at_s is None or case.paused_s is None or at_s <= case.paused_s:
            return at_s  # it had run out before
        return _expiry_time(calendar, now_s, business_seconds(calendar, case.paused_s, at_s))

    return replace(case, paused_s=None, first_due_s=moved(case.first_due_s), due_s=moved(case.due_s))


def new_alarms(case: CaseRow, tier: Tier, calendar: Calendar | None, now_s: float) -> tuple[Alarm, ...]:
    """What the clocks of a live case say that was not said before; a paused case says nothing."""
    if case.paused_s is not None or case.state not in ("queued", "started"):
        return ()
    found: list[Alarm] = []
    running: list[tuple[Clock, float | None]] = [("resolve", case.due_s)]
    if case.started_s is None:
        running.append(("first action", case.first_due_s))
    for clock, due_s in running:
        if due_s is None:
            continue
        alarm = Alarm(clock, now_s >= due_s, now_s - due_s)
        if not alarm.breached:
            whole_s = business_seconds(calendar, case.entered_s, due_s)
            if whole_s <= 0 or business_seconds(calendar, case.entered_s, now_s) < tier.at_risk * whole_s:
                continue
        if alarm.name not in case.alarms:
            found.append(alarm)
    return tuple(found)


def _expiry_time(calendar: Calendar | None, now_s: float, wanted_s: float) -> float | None:
    """When a clock that is set now runs out; None where its hours never come."""
    at_s = due_time(calendar, now_s, wanted_s)
    return at_s if isfinite(at_s) else None


def _business_spans(calendar: Calendar, from_s: float) -> Iterator[tuple[float, float]]:
    """Spans of business hours that end after `from_s`, in order; epoch seconds."""
    zone = _zone(calendar.timezone)
    first = datetime.fromtimestamp(from_s, zone).date()
    free, days = frozenset(calendar.holidays), frozenset(calendar.days)
    for ahead in range(_LONGEST_DAYS):
        day = first + timedelta(days=ahead)
        if WEEKDAYS[day.weekday()] not in days or day.isoformat() in free:
            continue
        for start, end in calendar.spans:
            begin_s, end_s = _epoch_s(day, start, zone), _epoch_s(day, end, zone)
            if end_s > from_s and end_s > begin_s:
                yield begin_s, end_s


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _epoch_s(day: date, minutes: int, zone: ZoneInfo) -> float:
    """A time of day as epoch seconds; one that a change of the clocks skips is the same moment an hour later."""
    shift, minute = divmod(minutes, _MINUTES)
    local = datetime.combine(day + timedelta(days=shift), time(minute // 60, minute % 60), tzinfo=zone)
    return local.astimezone(UTC).timestamp()
