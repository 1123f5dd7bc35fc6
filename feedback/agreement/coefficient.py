"""The record of an agreement coefficient, and its analytic interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from scipy.special import stdtrit

from feedback.stats.intervals import json_number, wilson
from feedback.votes import Floats
from ml_backend.number_format import format_counted, format_estimate

_CONFIDENCE = 0.95  # of every interval


@dataclass(frozen=True, slots=True)
class Coefficient:
    """An agreement coefficient with its interval; `note` says why where the votes do not define a value (NaN)."""

    name: str
    value: float  # at most 1; 0 is what chance gives, except for percent
    low: float  # bounds of the interval
    high: float
    se: float  # standard error; NaN where it is not defined
    items: int  # items with two votes or more
    pairs: int  # pairs of votes that were compared
    note: str = ""

    def __str__(self) -> str:
        if math.isnan(self.value):
            return f"{self.name} cannot be computed: {self.note}"
        items = format_counted(self.items, "item", "items")
        return f"{self.name} {format_estimate(self.value, self.low, self.high)} on {items}"

    def to_json(self) -> dict[str, Any]:
        """Return the figures for JSON, None where they are undefined, with `note` for the reason.

        >>> undefined("krippendorff_alpha", 0, 0, "no item has two votes").to_json()["note"]
        'no item has two votes'
        """
        numbers = {name: json_number(getattr(self, name)) for name in ("value", "low", "high", "se")}
        return {**numbers, "items": self.items, "pairs": self.pairs, **({"note": self.note} if self.note else {})}


@dataclass(frozen=True, slots=True, eq=False)
class LinearizedCoefficient:
    """A coefficient written as a mean over items, so that the spread of `rows` gives its standard error."""

    value: float
    chance: float  # agreement expected by chance; 0 for percent
    rows: Floats  # one per item or pattern
    times: Floats  # items behind each row


def undefined(name: str, items: int, pairs: int, note: str, *, lowest: float = -1.0) -> Coefficient:
    """Return a coefficient without a value: the interval is the whole range, `note` gives the reason."""
    return Coefficient(name, math.nan, lowest, 1.0, math.nan, items, pairs, note)


def analytic(
    name: str,
    linear: LinearizedCoefficient,
    items: int,
    pairs: int,
    *,
    lowest: float = -1.0,
    bounds: tuple[LinearizedCoefficient, LinearizedCoefficient] | None = None,
) -> Coefficient:
    """Return the coefficient with its 95 % interval, Student's on its linearised rows, one per independent item.

    `items` have two votes or more; the interval is clipped to [lowest, 1]. `bounds` are the coefficient with
    pseudo-items, for the lower and the upper bound; without them both rest on `linear`. Where all rows are equal the
    standard error is 0, which proves nothing; the interval then has the width of Wilson's for that many items without
    an exception.
    """
    if linear.times.sum() < 2:
        return Coefficient(name, linear.value, lowest, 1.0, math.nan, items, pairs, "one item gives no interval")
    se = _standard_error(linear)
    below, above = bounds or (linear, linear)
    low, high = below.value - _reach(below, items), above.value + _reach(above, items)
    return Coefficient(
        name, linear.value, max(lowest, min(low, linear.value)), min(1.0, max(high, linear.value)), se, items, pairs
    )


def _standard_error(linear: LinearizedCoefficient) -> float:
    n = linear.times.sum()
    return math.sqrt(float(linear.times @ (linear.rows - linear.value) ** 2) / (n * (n - 1)))


def _reach(linear: LinearizedCoefficient, items: int) -> float:
    """Return the distance from the value to a bound of its interval."""
    n, se = linear.times.sum(), _standard_error(linear)
    if se * math.sqrt(n) < 1e-9:
        return wilson(0, items).high / (1 - linear.chance)
    return float(stdtrit(n - 1, 0.5 + _CONFIDENCE / 2)) * se
