"""[calendars] of hitl.toml: business hours, and whether a moment lies in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, field_validator

from feedback.policy.field_types import Section, Texts

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"(\d\d:\d\d)-(\d\d:\d\d)")


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'{name!r} is no time zone; wanted a name such as "Europe/Berlin"') from None
    return name


class Calendar(Section):
    """Business hours. Days that are not listed are free; an end of 24:00 is midnight."""

    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    days: Annotated[tuple[Weekday, ...], Field(strict=False, min_length=1)] = WEEKDAYS[:5]
    hours: Texts = ("09:00-17:00",)  # on those days, in that time zone
    holidays: Texts = ()  # dates such as "2026-12-25"

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Return the hours as minutes from midnight: ((540, 1020),) for 09:00-17:00."""
        return tuple(_span(text) for text in self.hours)

    @field_validator("hours")
    @classmethod
    def _are_hours(cls, hours: tuple[str, ...]) -> tuple[str, ...]:
        last = 0
        for text in hours:
            start, end = _span(text)
            if not last <= start < end:
                night = f'; for a night write "00:00-{text[6:]}" and "{text[:5]}-24:00"' if end < start else ""
                raise ValueError(f"{text!r} is not in order; wanted hours that follow each other{night}")
            last = end
        if not hours:
            raise ValueError('there are no hours; wanted hours such as "09:00-17:00"')
        return hours

    @field_validator("holidays", mode="before")
    @classmethod
    def _are_dates(cls, holidays: Any) -> Any:
        """Return TOML dates and texts as ISO texts."""
        if not isinstance(holidays, (list, tuple)):
            return holidays
        return [_iso_date(day) for day in holidays]


def is_working_time(calendar: Calendar, at_s: float) -> bool:
    """Return whether a moment (epoch seconds) lies in a calendar's hours.

    >>> monday_noon_s = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
    >>> is_working_time(Calendar(), monday_noon_s), is_working_time(Calendar(holidays=("2026-11-23",)), monday_noon_s)
    (True, False)
    """
    local = datetime.fromtimestamp(at_s, UTC).astimezone(ZoneInfo(calendar.timezone))
    if WEEKDAYS[local.weekday()] not in calendar.days or local.date().isoformat() in calendar.holidays:
        return False
    minute = local.hour * 60 + local.minute
    return any(start <= minute < end for start, end in calendar.spans)


def open_calendars(calendars: Mapping[str, Calendar], at_s: float) -> list[str]:
    """Return the names of the calendars that are open at a time (epoch seconds)."""
    return [name for name, calendar in calendars.items() if is_working_time(calendar, at_s)]


def _iso_date(day: Any) -> Any:
    if isinstance(day, date) and not isinstance(day, datetime):
        return day.isoformat()
    try:
        return date.fromisoformat(day).isoformat()
    except (TypeError, ValueError):
        raise ValueError(f"{day!r:.60} is no date; wanted a date such as 2026-12-25") from None


def _span(text: str) -> tuple[int, int]:
    found = _HOURS.fullmatch(text)
    if found is None:
        raise ValueError(f'{text!r} is not a time span; wanted hours such as "09:00-17:00"')
    return _minutes(found[1]), _minutes(found[2])


def _minutes(text: str) -> int:
    if text == "24:00":
        return 24 * 60
    try:
        parsed = time.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time of day") from None
    return parsed.hour * 60 + parsed.minute
