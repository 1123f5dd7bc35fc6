"""Business hours: whether it is working time in a calendar now."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from feedback.policy.schema import Policy
from feedback.policy.tiers import WEEKDAYS, Calendar


def is_open(calendar: Calendar, at_s: float) -> bool:
    """Say whether a moment (epoch seconds) lies in a calendar's hours.

    >>> noon_on_a_monday = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
    >>> is_open(Calendar(), noon_on_a_monday), is_open(Calendar(holidays=("2026-11-23",)), noon_on_a_monday)
    (True, False)
    """
    here = datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo(calendar.timezone))
    if WEEKDAYS[here.weekday()] not in calendar.days or here.date().isoformat() in calendar.holidays:
        return False
    minute = here.hour * 60 + here.minute
    return any(start <= minute < end for start, end in calendar.spans)


def open_calendars(policy: Policy, at_s: float) -> list[str]:
    """Name the calendars of a policy in whose hours a moment lies."""
    return [name for name, calendar in policy.calendars.items() if is_open(calendar, at_s)]
