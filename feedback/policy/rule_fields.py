"""What rules may look at: every field with its kind and meaning, and those whose source does not exist yet."""

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
    """One thing that a rule may look at."""

    kind: Kind
    meaning: str
    low: float = -math.inf
    high: float = math.inf


FIELDS: Mapping[str, Field] = {
    "model.confidence": Field("number", "calibrated probability that the model's answer is right, 0 to 1", 0.0, 1.0),
    "model.label": Field("text", "the model's answer"),
    "model.margin": Field("number", "confidence less the second best label's, 0 to 1", 0.0, 1.0),
    "model.disagreement": Field(
        "number", "share of a committee of the last models that says otherwise, 0 to 1", 0.0, 1.0
    ),
    "history.votes": Field("number", "people who have answered", 0.0),
    "history.support": Field("number", "share of them who gave the leading answer; missing without answers", 0.0, 1.0),
    "history.skips": Field("number", "times that people skipped it", 0.0),
    "time.age": Field("duration", "time since it was imported", 0.0),
    "time.date": Field("text", "today's date in UTC, such as 2026-12-24"),
    "time.within": Field("calendar", "a calendar of the policy in whose hours it is now"),
}

LATER: Mapping[str, str] = {
    "model.set_size": "conformal sets come with the certificates of step 7",
    "model.conformal_set_size": "conformal sets come with the certificates of step 7",
    "model.ood_p": "out-of-distribution p-values come with the certificates of step 7",
}

OPEN = ("data", "signal")  # sources whose fields the tasks and the senders name


def field(path: str, signals: Mapping[str, SignalKind]) -> Field:
    """Find what a rule names; ValueError names the nearest.

    >>> field("data.customer.standing", {}).kind
    'any'
    >>> field("model.confidnce", {})
    Traceback (most recent call last):
    ValueError: model.confidnce is nothing that a rule can look at; did you mean model.confidence?
    """
    if path in LATER:
        raise ValueError(f"{path} cannot be used yet: {LATER[path]}")
    source, _, rest = path.partition(".")
    if source == "data" and rest:
        return Field("any", f"the task's {rest}")
    if source == "signal" and rest:
        return _signal(rest, signals)
    if path not in FIELDS:
        near = get_close_matches(path, [*FIELDS, *OPEN], n=1)
        guess = f"; did you mean {near[0]}?" if near else f"; wanted data.*, signal.* or one of {', '.join(FIELDS)}"
        raise ValueError(f"{path} is nothing that a rule can look at{guess}")
    return FIELDS[path]


def bounds(path: str, signals: Mapping[str, SignalKind]) -> tuple[float, float]:
    """What a number or a duration of this name lies between.

    >>> bounds("model.confidence", {}), bounds("data.amount", {})
    ((0.0, 1.0), (-inf, inf))
    """
    found = field(path, signals)
    return found.low, found.high


def _signal(rest: str, signals: Mapping[str, SignalKind]) -> Field:
    """signal.NAME is the newest value, signal.NAME.count how many came, signal.NAME.age the time since the newest."""
    name, _, part = rest.partition(".")
    if name not in signals:
        near = get_close_matches(name, list(signals), n=1)
        guess = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"signal.{name} is not declared in [signals]{guess}")
    if part == "count":
        return Field("number", f"how many {name} signals came", 0.0)
    if part == "age":
        return Field("duration", f"time since the newest {name} signal", 0.0)
    if part:
        raise ValueError(f"signal.{rest} is nothing; wanted signal.{name}, signal.{name}.count or signal.{name}.age")
    one = signals[name]
    kind: Kind = {"number": "number", "flag": "any"}.get(one.kind, "text")  # type: ignore[assignment]
    low, high = -math.inf if one.low is None else one.low, math.inf if one.high is None else one.high
    return Field(kind, f"the newest {name} signal", low, high)
