"""Who looks, where and by when: people, tiers, calendars, and what happens when nobody does."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, field_validator, model_validator

from feedback.policy.sections import Duration, Money, Name, Names, Section, Share, Texts, seconds

Role = Literal["viewer", "admin", "approver"]
Protocol = Literal["single", "panel", "two-reader"]
Action = Literal["accept", "fix", "reject", "escalate", "guideline"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"(\d\d:\d\d)-(\d\d:\d\d)")


class Person(Section):
    """One person; the key is the e-mail address that they have in Label Studio.

    Somebody who is not listed may answer in the first tier, and nowhere else.
    """

    tiers: Names = ()  # where they may answer; (): the first tier
    skills: Names = ()  # what rules and tiers may ask for: languages, topics, licences
    wage: Money | None = None  # an hour, in whatever currency all wages are in
    calendar: Name | None = None  # when they work; None: their tier's
    role: Role = "viewer"  # of our pages: look, change the policy, or also approve promotions


class Tier(Section):
    """One level of review. The first in the file is the Label Studio project itself, each later one a project of ours.

    `place` is the order of the file: cases escalate from one tier to the next.
    """

    place: Annotated[int, Field(ge=0)] = 0  # filled in from the order of the file
    title: str = ""  # as people read it
    first_action: Duration = ""  # the clock until somebody starts: a draft, a submit or a skip
    resolve: Duration = ""  # the clock until it is decided
    at_risk: Share = 0.8  # of a clock: a warning from there on
    calendar: Name | None = None  # in whose hours the clocks run; None: always
    on_breach: Literal["escalate", "reassign", "notify"] = "notify"  # when a clock has run out
    notify: Names = ()  # of [notify], told of risks and breaches
    skip_means: Literal["escalate", "requeue", "ignore"] = "requeue"  # what "Skip" says here
    blind: bool = False  # whether the model's answer and earlier votes are kept from the reviewer
    protocol: Protocol = "single"  # one decides; a panel votes; two read apart and a third settles
    panel: Annotated[int, Field(ge=1, le=20)] = 1  # people that a panel wants
    min_agreement: Annotated[float, Field(ge=0.0, lt=1.0)] = (
        0.5  # the panel's leading answer needs more than this share, or the case escalates
    )
    actions: Annotated[tuple[Action, ...], Field(strict=False, min_length=1)] = get_args(Action)
    skills: Names = ()  # that everybody needs here
    own_cases: bool = False  # whether somebody who answered a case below may decide it here
    handling: Duration = ""  # time of one look, for forecasts and costs; "": as measured

    @property
    def first_action_s(self) -> float:
        """Seconds until somebody must have started; 0 for no clock."""
        return seconds(self.first_action)

    @property
    def resolve_s(self) -> float:
        """Seconds until it must be decided; 0 for no clock."""
        return seconds(self.resolve)

    @property
    def handling_s(self) -> float:
        """Seconds that one look takes; 0 where it is to be measured."""
        return seconds(self.handling)

    @property
    def readers(self) -> int:
        """How many people look at each case."""
        return {"single": 1, "panel": self.panel, "two-reader": 2}[self.protocol]

    @model_validator(mode="after")
    def _panel_means_several(self) -> Tier:
        if self.protocol == "panel" and self.panel < 2:
            raise ValueError('protocol = "panel" wants panel = 2 or more')
        if self.protocol != "panel" and self.panel != 1:
            raise ValueError(f'panel = {self.panel} wants protocol = "panel"')
        return self


def _timezone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'{name!r} is no time zone; wanted one such as "Europe/Berlin"') from None
    return name


class Calendar(Section):
    """Business hours. A day without hours is free; an end of 24:00 is midnight."""

    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    days: Annotated[tuple[Weekday, ...], Field(strict=False, min_length=1)] = WEEKDAYS[:5]
    hours: Texts = ("09:00-17:00",)  # on those days, in that time zone
    holidays: Texts = ()  # dates such as "2026-12-25"

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The hours as minutes from midnight: ((540, 1020),) for 09:00-17:00."""
        return tuple(_span(text) for text in self.hours)

    @field_validator("hours")
    @classmethod
    def _are_hours(cls, hours: tuple[str, ...]) -> tuple[str, ...]:
        last = 0
        for text in hours:
            start, end = _span(text)
            if not last <= start < end:
                night = f'; over midnight it is "00:00-{text[6:]}" and "{text[:5]}-24:00"' if end < start else ""
                raise ValueError(f"{text!r} does not begin after the hours before it and end after it begins{night}")
            last = end
        if not hours:
            raise ValueError('no hours; wanted some such as "09:00-17:00"')
        return hours

    @field_validator("holidays", mode="before")
    @classmethod
    def _are_dates(cls, holidays: Any) -> Any:
        """TOML's own dates and texts alike, as the ISO texts that days are compared with."""
        if not isinstance(holidays, (list, tuple)):
            return holidays
        return [_iso_date(one) for one in holidays]


class Notify(Section):
    """Where somebody is told of risks, breaches and decisions: a URL that takes a JSON POST."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2000)]
    secret: str = ""  # the name of a secret in the store that signs the body; "": not signed


def _iso_date(day: Any) -> Any:
    if isinstance(day, date) and not isinstance(day, datetime):
        return day.isoformat()
    try:
        return date.fromisoformat(day).isoformat()
    except (TypeError, ValueError):
        raise ValueError(f"{day!r:.60} is no date; wanted one such as 2026-12-25") from None


def _span(text: str) -> tuple[int, int]:
    found = _HOURS.fullmatch(text)
    if found is None:
        raise ValueError(f'{text!r} are no hours; wanted such as "09:00-17:00"')
    return _minutes(found[1]), _minutes(found[2])


def _minutes(text: str) -> int:
    if text == "24:00":
        return 24 * 60
    try:
        at = time.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time of day") from None
    return at.hour * 60 + at.minute
