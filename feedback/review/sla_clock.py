"""The SLA clocks of a case: when it is due in business hours, and which clocks are at risk or have run out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
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
    late_s: float  # seconds since it ran out; negative before

    @property
    def name(self) -> str:
        """Return the name under which the case records the alarm, such as "resolve at risk"."""
        return f"{self.clock} {'breached' if self.breached else 'at risk'}"


def due_time(calendar: Calendar | None, start_s: float, duration_s: float) -> float | None:
    """Return when `duration_s` seconds of business hours have passed since `start_s`, in epoch seconds.

    None if that takes more than ten years. Without a calendar every second counts. A change to or from summer time
    inside business hours makes that day shorter or longer.

    >>> monday_16h = datetime(2026, 11, 16, 16, tzinfo=UTC).timestamp()
    >>> datetime.fromtimestamp(due_time(Calendar(), monday_16h, 2 * 3600), UTC).isoformat()
    '2026-11-17T10:00:00+00:00'
    """
    if calendar is None:
        return start_s + duration_s
    left_s = duration_s
    for begin_s, end_s in _business_spans(calendar, start_s):
        begin_s = max(begin_s, start_s)
        if end_s - begin_s >= left_s:
            return begin_s + left_s
        left_s -= end_s - begin_s
    return None


def business_seconds(calendar: Calendar | None, start_s: float, end_s: float) -> float:
    """Return the seconds of business hours between two times; 0 if the second is not later.

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
    """Start the clocks of a case that enters a tier; `within_s` is a promised time in business seconds, 0 for none."""
    resolve_s = min((limit_s for limit_s in (tier.resolve_s, within_s) if limit_s), default=0.0)
    return replace(
        case,
        entered_s=now_s,
        started_s=None,
        paused_s=None,
        alarms=(),
        first_due_s=due_time(calendar, now_s, tier.first_action_s) if tier.first_action_s else None,
        due_s=due_time(calendar, now_s, resolve_s) if resolve_s else None,
    )


def promise_within(case: CaseRow, calendar: Calendar | None, now_s: float, within_s: float) -> CaseRow:
    """Make a case due within a promised time, if that is earlier; a paused clock counts it from where it was paused."""
    from_s = now_s if case.paused_s is None else case.paused_s
    due_s = due_time(calendar, from_s, within_s) if within_s else None
    return replace(case, due_s=min((at_s for at_s in (case.due_s, due_s) if at_s is not None), default=None))


def pause_clocks(case: CaseRow, now_s: float) -> CaseRow:
    """Pause the clocks."""
    return case if case.paused_s is not None else replace(case, paused_s=now_s)


def resume_clocks(case: CaseRow, calendar: Calendar | None, now_s: float) -> CaseRow:
    """Resume the clocks with the business hours that were left when they were paused."""
    if case.paused_s is None:
        return case

    def moved(at_s: float | None) -> float | None:
        if at_s is None or case.paused_s is None or at_s <= case.paused_s:
            return at_s  # it had run out before
        return due_time(calendar, now_s, business_seconds(calendar, case.paused_s, at_s))

    return replace(case, paused_s=None, first_due_s=moved(case.first_due_s), due_s=moved(case.due_s))


def new_alarms(case: CaseRow, tier: Tier, calendar: Calendar | None, now_s: float) -> tuple[Alarm, ...]:
    """Return the alarms of an open case that are not recorded in it yet; a paused case has none."""
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


def _business_spans(calendar: Calendar, from_s: float) -> Iterator[tuple[float, float]]:
    """Yield the spans of business hours that end after `from_s`, in order, as epoch seconds."""
    zone = ZoneInfo(calendar.timezone)
    first = datetime.fromtimestamp(from_s, zone).date()
    holidays, days = frozenset(calendar.holidays), frozenset(calendar.days)
    for ahead in range(_LONGEST_DAYS):
        day = first + timedelta(days=ahead)
        if WEEKDAYS[day.weekday()] not in days or day.isoformat() in holidays:
            continue
        for start, end in calendar.spans:
            begin_s, end_s = _epoch_s(day, start, zone), _epoch_s(day, end, zone)
            if end_s > from_s and end_s > begin_s:
                yield begin_s, end_s


def _epoch_s(day: date, minutes: int, zone: ZoneInfo) -> float:
    """Return a time of day as epoch seconds; one that summer time skips is the same moment an hour later."""
    shift, minute = divmod(minutes, _MINUTES)
    local = datetime.combine(day + timedelta(days=shift), time(minute // 60, minute % 60), tzinfo=zone)
    return local.astimezone(UTC).timestamp()
