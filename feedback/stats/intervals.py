"""The record of an estimate with its interval; intervals of shares, differences and means; the exact binomial test.

They are for one look planned in advance. Figures that are checked repeatedly, with a stop at any time, need
`feedback.stats.e_processes`, `feedback.stats.gates` or `feedback.stats.change_detection`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtrc, betaincinv, ndtri, stdtrit

from feedback.errors import FeedbackError
from ml_backend.number_format import format_estimate

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
        return format_estimate(self.value, self.low, self.high)

    def __contains__(self, figure: float) -> bool:
        return self.low <= figure <= self.high

    def times(self, unit: float) -> Interval:
        """Return the interval of the estimate in another unit, `unit` above 0."""
        return Interval(self.low * unit, self.high * unit, self.value * unit, self.confidence)

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


def wilson(k: float, n: float, *, confidence: float = 0.95) -> Interval:
    """Compute Wilson's interval of a share, k of n; its mean coverage is near its confidence.

    Within [0, 1]; for n = 0 it is [0, 1] with value NaN. Fractions are allowed, for expected counts. EvidenceError
    unless 0 <= k <= n and the confidence is in (0, 1). Wilson (1927), doi:10.1080/01621459.1927.10502953.

    >>> print(wilson(81, 263))
    0.31 [0.26, 0.37]
    """
    _check_counts(k, n)
    z = float(ndtri(0.5 + check_share(confidence, "confidence") / 2))
    if n == 0:
        return Interval(0.0, 1.0, math.nan, confidence)
    center = (k + z * z / 2) / (n + z * z)
    half_width = z * math.sqrt(k * (n - k) / n + z * z / 4) / (n + z * z)
    low = 0.0 if k == 0 else max(0.0, center - half_width)  # exactly: rounding leaves 1e-18
    high = 1.0 if k == n else min(1.0, center + half_width)
    return Interval(low, high, k / n, confidence)


def clopper_pearson(k: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Compute the exact interval of a share, k of n; its coverage is at least its confidence.

    It is wider than Wilson's, and k and n are whole numbers. Clopper and Pearson (1934), doi:10.1093/biomet/26.4.404.

    >>> clopper_pearson(0, 149, confidence=0.90).high < 0.02 < clopper_pearson(0, 148, confidence=0.90).high
    True
    """
    half = (1.0 - check_share(confidence, "confidence")) / 2.0
    return Interval(lower_bound(k, n, alpha=half), upper_bound(k, n, alpha=half), k / n if n else math.nan, confidence)


def upper_bound(k: int, n: int, *, alpha: float) -> float:
    """Return the one-sided Clopper-Pearson bound that the true share exceeds with probability at most alpha."""
    _check_counts(k, n)
    check_share(alpha, "alpha")
    return 1.0 if k == n else float(betaincinv(k + 1, n - k, 1.0 - alpha))


def lower_bound(k: int, n: int, *, alpha: float) -> float:
    """Return the one-sided Clopper-Pearson bound that the true share is below with probability at most alpha."""
    _check_counts(k, n)
    check_share(alpha, "alpha")
    return 0.0 if k == 0 else float(betaincinv(k, n - k + 1, alpha))


def newcombe(k_a: float, n_a: float, k_b: float, n_b: float, *, confidence: float = 0.95) -> Interval:
    """Compute the interval of share a minus share b from two independent samples, within [-1, 1].

    Newcombe's method 10, from the Wilson intervals of both shares; [-1, 1] with value NaN where a sample is empty.
    Newcombe (1998), Interval estimation for the difference between independent proportions,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I.

    >>> print(newcombe(56, 70, 48, 80))
    0.20 [0.05, 0.33]
    """
    a, b = wilson(k_a, n_a, confidence=confidence), wilson(k_b, n_b, confidence=confidence)
    if not (n_a and n_b):
        return Interval(-1.0, 1.0, math.nan, confidence)
    difference = a.value - b.value
    low = difference - math.hypot(a.value - a.low, b.high - b.value)
    high = difference + math.hypot(a.high - a.value, b.value - b.low)
    return Interval(max(-1.0, low), min(1.0, high), difference, confidence)


def mean(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Compute Student's interval of the mean of independent values (n,); infinite bounds for fewer than two values.

    >>> print(mean([1.0, 2.0, 3.0]))
    2.00 [-0.48, 4.48]
    """
    rows = np.asarray(values, dtype=np.float64)
    check_share(confidence, "confidence")
    if rows.size < 2:
        return Interval(-math.inf, math.inf, float(rows[0]) if rows.size else math.nan, confidence)
    value = float(rows.mean())
    half_width = float(stdtrit(rows.size - 1, 0.5 + confidence / 2)) * float(rows.std(ddof=1)) / math.sqrt(rows.size)
    return Interval(value - half_width, value + half_width, value, confidence)


def binomial_tail(k: int, n: int, p0: float) -> float:
    """Return the one-sided exact binomial p-value: the probability of k or more of n at rate p0, in (0, 1].

    For one look planned in advance. A trigger that is checked repeatedly needs `feedback.stats.e_processes.rate_above`:
    with this p-value it would fire by chance.

    >>> round(binomial_tail(12, 120, 0.05), 6)
    0.017303
    """
    _check_counts(k, n)
    check_share(p0, "p0")
    return 1.0 if k == 0 else float(bdtrc(k - 1, n, p0))


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


def _check_counts(k: float, n: float) -> None:
    if not 0 <= k <= n:
        raise EvidenceError(f"{k} of {n} cannot be: wanted 0 <= k <= n.")
