"""The records that calculations return, and the error that they raise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from feedback.errors import FeedbackError

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]


class EvidenceError(FeedbackError):
    """Impossible counts, shares or levels, for example more errors than rows or a share outside (0, 1)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its confidence interval.

    >>> interval = Interval(0.44, 0.60, 0.52)
    >>> str(interval), 0.5 in interval
    ('0.52 [0.44, 0.60]', True)
    """

    low: float
    high: float
    value: float  # NaN where there is nothing to estimate from
    confidence: float = 0.95  # nominal coverage of [low, high]

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"

    def __contains__(self, figure: float) -> bool:
        return self.low <= figure <= self.high

    def to_json(self, *, digits: int = 6) -> dict[str, float | None]:
        """Return value, low and high, rounded to `digits` places; None where a number is NaN or infinite.

        >>> Interval(0.0, 1.0, float("nan")).to_json()
        {'value': None, 'low': 0.0, 'high': 1.0}
        """
        return {
            "value": json_number(self.value, digits),
            "low": json_number(self.low, digits),
            "high": json_number(self.high, digits),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a challenger is promoted, with the reason as a sentence."""

    promote: bool
    reason: str
    e_value: float = 1.0  # evidence that decided; 1 is no evidence
    n: int = 0  # rows behind the decision


def json_number(value: float | None, digits: int = 6) -> float | None:
    """Return the number rounded to `digits` places; None for None, NaN and infinity, which JSON cannot hold.

    >>> json_number(1 / 3), json_number(float("nan"))
    (0.333333, None)
    """
    return round(float(value), digits) if value is not None and math.isfinite(value) else None


def check_share(value: float, name: str) -> float:
    """Return the value if it lies strictly between 0 and 1; else raise EvidenceError with its name."""
    if not 0.0 < value < 1.0:
        raise EvidenceError(f"{name} is {value}, wanted a share between 0 and 1.")
    return value
