"""Intervals for one look decided in advance: shares, differences of shares, means.

They are not valid for figures that people watch until they like them; eprocess, paired and detectors are.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc, betaincinv, ndtri, stdtrit

from feedback.stats.results import EvidenceError, Interval, check_share


def wilson(k: float, n: float, *, confidence: float = 0.95) -> Interval:
    """The interval of a share, k of n, whose mean coverage is nearest to what it says.

    Within [0, 1]; the whole of it for n = 0; both may be fractions (expected counts). Wilson (1927).

    >>> print(wilson(81, 263))
    0.31 [0.26, 0.37]
    """
    _check_counts(k, n)
    z = _z(confidence)
    if n == 0:
        return Interval(0.0, 1.0, math.nan, confidence)
    middle = (k + z * z / 2) / (n + z * z)
    reach = z * math.sqrt(k * (n - k) / n + z * z / 4) / (n + z * z)
    low = 0.0 if k == 0 else max(0.0, middle - reach)  # exactly: rounding leaves 1e-18
    high = 1.0 if k == n else min(1.0, middle + reach)
    return Interval(low, high, k / n, confidence)


def clopper_pearson(k: int, n: int, *, confidence: float = 0.95) -> Interval:
    """The interval of a share that never covers less than it says; wider than Wilson's.

    Within [0, 1]; the whole of it for n = 0. Clopper and Pearson (1934).

    >>> clopper_pearson(0, 149, confidence=0.90).high < 0.02 < clopper_pearson(0, 148, confidence=0.90).high
    True
    """
    half = (1.0 - check_share(confidence, "confidence")) / 2.0
    return Interval(lower_bound(k, n, alpha=half), upper_bound(k, n, alpha=half), k / n if n else math.nan, confidence)


def upper_bound(k: int, n: int, *, alpha: float) -> float:
    """The one-sided Clopper-Pearson bound: the true share is above it with probability at most alpha."""
    _check_counts(k, n)
    check_share(alpha, "alpha")
    return 1.0 if k == n else float(betaincinv(k + 1, n - k, 1.0 - alpha))


def lower_bound(k: int, n: int, *, alpha: float) -> float:
    """The one-sided Clopper-Pearson bound: the true share is below it with probability at most alpha."""
    _check_counts(k, n)
    check_share(alpha, "alpha")
    return 0.0 if k == 0 else float(betaincinv(k, n - k + 1, alpha))


def newcombe(k_a: float, n_a: float, k_b: float, n_b: float, *, confidence: float = 0.95) -> Interval:
    """The interval of share a minus share b, from two independent samples; counts may be fractions, as for `wilson`.

    Within [-1, 1]. Newcombe (1998), method 10: Wilson's limits, squared and added.

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


def normal(value: float, se: float, *, confidence: float = 0.95) -> Interval:
    """The interval of a figure from its standard error: for large samples.

    >>> print(normal(0.5, 0.1))
    0.50 [0.30, 0.70]
    """
    reach = _z(confidence) * se
    return Interval(value - reach, value + reach, value, confidence)


def mean(values: ArrayLike, *, confidence: float = 0.95) -> Interval:
    """Student's interval of the mean of independent values; endless for fewer than two.

    >>> print(mean([1.0, 2.0, 3.0]))
    2.00 [-0.48, 4.48]
    """
    rows = np.asarray(values, dtype=np.float64)
    check_share(confidence, "confidence")
    if rows.size < 2:
        return Interval(-math.inf, math.inf, float(rows[0]) if rows.size else math.nan, confidence)
    centre = float(rows.mean())
    reach = float(stdtrit(rows.size - 1, 0.5 + confidence / 2)) * float(rows.std(ddof=1)) / math.sqrt(rows.size)
    return Interval(centre - reach, centre + reach, centre, confidence)


def binomial_tail(k: int, n: int, p0: float) -> float:
    """Return the one-sided exact binomial p-value: the probability of k or more of n at rate p0, in (0, 1].

    For one look planned in advance. Used as a trigger that is checked repeatedly, it fires by chance: use
    `feedback.stats.e_processes.rate_above` for that.

    Examples
    --------
    >>> round(binomial_tail(12, 120, 0.05), 6)
    0.017303
    """
    _check_counts(k, n)
    check_share(p0, "p0")
    return 1.0 if k == 0 else float(bdtrc(k - 1, n, p0))


def _z(confidence: float) -> float:
    return float(ndtri(0.5 + check_share(confidence, "confidence") / 2))


def _check_counts(k: float, n: float) -> None:
    if not 0 <= k <= n:
        raise EvidenceError(f"{k} of {n} cannot be: wanted 0 <= k <= n.")
