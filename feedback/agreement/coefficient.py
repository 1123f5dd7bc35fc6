"""An agreement figure never stands alone: value, interval, items and pairs go together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy.special import ndtri, stdtrit

from feedback.stats.intervals import wilson
from feedback.votes import Floats

How = Literal["analytic", "bootstrap"]


@dataclass(frozen=True, slots=True)
class Coefficient:
    """One agreement figure; `value` is NaN where the votes cannot define it, and `note` says why."""

    name: str
    value: float  # at most 1; 0 is what chance gives, except for percent
    low: float  # bounds of the interval
    high: float
    se: float
    items: int  # items with two votes or more
    pairs: int  # pairs of votes that were compared
    note: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.value:.2f} [{self.low:.2f}, {self.high:.2f}] on {self.items} items"


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A coefficient as a mean over items: `rows` linearise it, so their spread is its standard error."""

    value: float
    chance: float  # agreement expected by chance; 0 for percent
    rows: Floats  # one per item or pattern
    times: Floats  # items behind each row


def undefined(name: str, items: int, pairs: int, note: str, *, lowest: float = -1.0) -> Coefficient:
    """A coefficient that these votes cannot define: anything is still possible."""
    return Coefficient(name, math.nan, lowest, 1.0, math.nan, items, pairs, note)


def analytic(
    name: str, linear: Linear, items: int, pairs: int, *, confidence: float, lowest: float, student: bool = True
) -> Coefficient:
    """Student's interval on the linearised rows; items are independent, votes within an item are not.

    Without `student` it is the large-sample interval: n instead of n - 1, and the normal quantile.

    Where all rows agree (everybody right, or all alike) the spread is zero and proves nothing: the bound is then
    Wilson's for that many items without an exception.
    """
    n = linear.times.sum()
    if n < 2:
        return Coefficient(name, linear.value, lowest, 1.0, math.nan, items, pairs, "one item proves nothing")
    variance = float(linear.times @ (linear.rows - linear.value) ** 2) / (n * (n - 1 if student else n))
    se = math.sqrt(variance)
    if se * math.sqrt(n) < 1e-9:
        slack = wilson(0, items, confidence=confidence).high / (1 - linear.chance)
        low, high = linear.value - slack, linear.value + slack
    else:
        reach = float(stdtrit(n - 1, 0.5 + confidence / 2) if student else ndtri(0.5 + confidence / 2)) * se
        low, high = linear.value - reach, linear.value + reach
    return Coefficient(name, linear.value, max(lowest, low), min(1.0, high), se, items, pairs)
