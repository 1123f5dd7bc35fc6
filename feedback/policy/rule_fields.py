"""The fields that rules may test: each with its type, meaning and range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from feedback.policy.reviewer_questions import SignalKind

Kind = Literal["number", "text", "duration", "calendar", "any"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field that a rule may test."""

    kind: Kind
    meaning: str
    low: float = -math.inf
    high: float = math.inf


FIELDS: Mapping[str, Field] = {
    "model.confidence": Field("number", "calibrated probability that the model's answer is right, 0 to 1", 0.0, 1.0),
    "model.label": Field("text", "the model's answer"),
    "model.margin": Field("number", "confidence less the second best label's, 0 to 1", 0.0, 1.0),
    "model.disagreement": Field("number", "share of the last models that disagree with the champion, 0 to 1", 0.0, 1.0),
    "history.votes": Field("number", "people who have answered", 0.0),
    "history.support": Field("number", "share of them who gave the leading answer; missing without answers", 0.0, 1.0),
    "history.skips": Field("number", "times that people skipped it", 0.0),
    "time.age": Field("duration", "time since it was imported", 0.0),
    "time.date": Field("text", "today's date in UTC, such as 2026-12-24"),
    "time.within": Field("calendar", "a calendar of the policy in whose hours it is now"),
}

UNAVAILABLE_FIELDS: Mapping[str, str] = {
    "model.set_size": "conformal sets do not exist yet",
    "model.conformal_set_size": "conformal sets do not exist yet",
    "model.ood_p": "out-of-distribution p-values do not exist yet",
}

OPEN_SOURCES = ("data", "signal")  # sources whose field names come from task data and from the senders of signals


def find_field(path: str, signals: Mapping[str, SignalKind]) -> Field:
    """Return the field of that path; ValueError names the nearest field where there is none.

    Examples
    --------
    >>> find_field("data.customer.standing", {}).kind
    'any'
    >>> find_field("model.confidnce", {})
    Traceback (most recent call last):
    ValueError: model.confidnce is no field that a rule can test; did you mean model.confidence?
    """
    if path in UNAVAILABLE_FIELDS:
        raise ValueError(f"{path} cannot be used yet: {UNAVAILABLE_FIELDS[path]}")
    source, _, rest = path.partition(".")
    if source == "data" and rest:
        return Field("any", f"the task's {rest}")
    if source == "signal" and rest:
        return _signal(rest, signals)
    if path not in FIELDS:
        near = get_close_matches(path, [*FIELDS, *OPEN_SOURCES], n=1)
        suggestion = (
            f"; did you mean {near[0]}?" if near else f"; wanted data.*, signal.* or one of {', '.join(FIELDS)}"
        )
        raise ValueError(f"{path} is no field that a rule can test{suggestion}")
    return FIELDS[path]


def field_bounds(path: str, signals: Mapping[str, SignalKind]) -> tuple[float, float]:
    """Return the lowest and highest value that a number or duration field can have.

    Examples
    --------
    >>> field_bounds("model.confidence", {}), field_bounds("data.amount", {})
    ((0.0, 1.0), (-inf, inf))
    """
    found = find_field(path, signals)
    return found.low, found.high


def _signal(rest: str, signals: Mapping[str, SignalKind]) -> Field:
    """Return the field signal.NAME (newest value), signal.NAME.count or signal.NAME.age (since the newest)."""
    name, _, part = rest.partition(".")
    if name not in signals:
        near = get_close_matches(name, list(signals), n=1)
        suggestion = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"signal.{name} is not declared in [signals]{suggestion}")
    if part == "count":
        return Field("number", f"number of {name} signals", 0.0)
    if part == "age":
        return Field("duration", f"time since the newest {name} signal", 0.0)
    if part:
        raise ValueError(f"signal.{rest} is no field; wanted signal.{name}, signal.{name}.count or signal.{name}.age")
    signal = signals[name]
    kind: Kind = {"number": "number", "flag": "any"}.get(signal.kind, "text")  # type: ignore[assignment]
    low, high = -math.inf if signal.low is None else signal.low, math.inf if signal.high is None else signal.high
    return Field(kind, f"the newest {name} signal", low, high)
