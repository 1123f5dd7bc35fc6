"""E-values that people may watch: bets against "the rate is fine", and how to judge many at once.

An e-value is at most 1 on average if the hypothesis is true, at whatever row one stops; 1/alpha is proof at level
alpha (Ville). Rates are tested by a uniform mixture over the alternatives only: mixing over all of [0, 1] tests
"rate = p0" and grows on segments that are better than p0 as well.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaincc, betaln

from feedback.stats.results import Bools, EvidenceError, Floats, check_share

_BETS = np.array([0.05, 0.1, 0.2, 0.4, 0.8])  # shares of the largest safe bet; the mean over them is a bet as well


def rate_above(k: ArrayLike, n: ArrayLike, p0: float) -> Floats:
    """E-value against "the rate is at most p0", after k of n.

    In [0, inf), the shape of k; large: the rate is above p0. The uniform mixture over (p0, 1].

    >>> round(float(rate_above(12, 30, 0.2)), 3)
    6.29
    """
    errors, fine = _counts(k, n)
    check_share(p0, "p0")
    with np.errstate(divide="ignore"):  # log 0 is -inf: an e-value of 0
        tail = np.log(betaincc(errors + 1.0, fine + 1.0, p0))
    return _e(betaln(errors + 1.0, fine + 1.0) + tail - _null(errors, fine, p0) - math.log1p(-p0))


def rate_below(k: ArrayLike, n: ArrayLike, p0: float) -> Floats:
    """E-value against "the rate is at least p0", after k of n.

    In [0, inf), the shape of k; large: the rate is below p0. The uniform mixture over (0, p0).

    >>> bool(rate_below(0, 223, 0.02) < 20 <= rate_below(0, 224, 0.02))
    True
    """
    errors, fine = _counts(k, n)
    check_share(p0, "p0")
    with np.errstate(divide="ignore"):
        tail = np.log(betainc(errors + 1.0, fine + 1.0, p0))
    return _e(betaln(errors + 1.0, fine + 1.0) + tail - _null(errors, fine, p0) - math.log(p0))


def rate_differs(k: ArrayLike, n: ArrayLike, p0: float) -> Floats:
    """E-value against "the rate is p0", after k of n: two-sided, never for "above p0".

    >>> round(float(rate_differs(12, 30, 0.2)), 4)
    5.0545
    """
    errors, fine = _counts(k, n)
    return _e(betaln(errors + 1.0, fine + 1.0) - _null(errors, fine, check_share(p0, "p0")))


def loss_below(losses: ArrayLike, limit: float, *, bound: float = 1.0) -> float:
    """E-value against "the mean loss is at least limit", for losses in [0, bound].

    In [0, inf); large: the mean loss is below limit. The product of 1 + b (limit - loss), mean over fixed bets b
    below 1 / (bound - limit): valid at every row, for losses of any distribution.

    >>> loss_below([0.0] * 300, 0.02) > 20 > loss_below([0.02] * 300, 0.02)
    True
    """
    seen = np.asarray(losses, dtype=np.float64)
    if not 0.0 < limit < bound:
        raise EvidenceError(f"limit is {limit}, wanted a loss between 0 and {bound}.")
    if seen.size and not (seen.min() >= 0.0 and seen.max() <= bound):
        raise EvidenceError(f"a loss lies outside [0, {bound}]: the bet would not be safe.")
    bets = _BETS / (bound - limit)
    logs = np.log1p(bets[:, None] * (limit - seen[None, :])).sum(axis=1)
    return float(_e(logs).mean())


def e_bh(e_values: ArrayLike, *, alpha: float) -> Bools:
    """Which of many hypotheses are refused, with at most alpha of the refusals false on average.

    The shape of `e_values`, under any dependence. Wang and Ramdas (2022): the largest k of K that are at least
    K / (alpha k).

    >>> e_bh([100.0, 50.0, 1.0, 2.0], alpha=0.05)
    array([ True,  True, False, False])
    """
    e = np.asarray(e_values, dtype=np.float64)
    check_share(alpha, "alpha")
    largest_first = np.sort(e)[::-1]
    needed = e.size / (alpha * np.arange(1, e.size + 1))
    passing = np.flatnonzero(largest_first >= needed)
    refused: Bools = e >= largest_first[passing[-1]] if passing.size else np.zeros(e.size, dtype=bool)
    return refused


def e_holm(e_values: ArrayLike, *, alpha: float) -> Bools:
    """Which of many hypotheses are refused, with probability at most alpha that any refusal is false.

    The shape of `e_values`, under any dependence. Holm's steps on 1 / e.

    >>> e_holm([100.0, 50.0, 1.0, 2.0], alpha=0.05)
    array([ True, False, False, False])
    """
    e = np.asarray(e_values, dtype=np.float64)
    check_share(alpha, "alpha")
    order = np.argsort(-e, kind="stable")
    passing = e[order] >= (e.size - np.arange(e.size)) / alpha
    refused = np.zeros(e.size, dtype=bool)
    refused[order[: e.size if passing.all() else int(np.argmin(passing))]] = True
    return refused


def _null(errors: Floats, fine: Floats, p0: float) -> Floats:
    """Log-likelihood of the counts at the rate p0."""
    return errors * math.log(p0) + fine * math.log1p(-p0)


def _e(logs: Floats) -> Floats:
    with np.errstate(over="ignore", under="ignore"):  # infinite evidence and none are both fine answers
        return np.exp(logs)


def _counts(k: ArrayLike, n: ArrayLike) -> tuple[Floats, Floats]:
    errors, rows = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if not ((errors >= 0) & (errors <= rows)).all():
        raise EvidenceError("a count is negative or above its number of rows: wanted 0 <= k <= n.")
    return errors, rows - errors
