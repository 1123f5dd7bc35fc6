"""E-values for rates and losses that may be checked after every row, and for many hypotheses at once.

An e-value is at most 1 on average if the null hypothesis is true, also at a row chosen while looking at the data;
1 / alpha or more is proof at level alpha (Ville's inequality). The e-values of rates are uniform mixtures over the
alternatives only. A mixture over all of [0, 1] would test "rate = p0" and grow for rates below p0 as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaincc, betaln

from feedback.stats.intervals import Bools, EvidenceError, Floats, check_share

_BETS = np.array([0.05, 0.1, 0.2, 0.4, 0.8])  # shares of the largest safe bet; the mean over them is a valid bet


def rate_above(k: ArrayLike, n: ArrayLike, p0: float) -> Floats:
    """Compute the e-value against "the rate is at most p0", after k of n; the uniform mixture over (p0, 1].

    In [0, inf), with the shape of k; large values are evidence that the rate is above p0. EvidenceError unless 0 <= k
    <= n and p0 is in (0, 1).

    >>> round(float(rate_above(12, 30, 0.2)), 3)
    6.29
    """
    return _uniform_mixture(k, n, check_share(p0, "p0"), betaincc, math.log1p(-p0))


def rate_below(k: ArrayLike, n: ArrayLike, p0: float) -> Floats:
    """Compute the e-value against "the rate is at least p0", after k of n; the uniform mixture over (0, p0).

    Large values are evidence that the rate is below p0. Errors are those of `rate_above`.

    >>> bool(rate_below(0, 223, 0.02) < 20 <= rate_below(0, 224, 0.02))
    True
    """
    return _uniform_mixture(k, n, check_share(p0, "p0"), betainc, math.log(p0))


def rate_differs(k: ArrayLike, n: ArrayLike, p0: float) -> Floats:
    """Compute the two-sided e-value against "the rate is p0", after k of n; never use it for "above p0".

    >>> round(float(rate_differs(12, 30, 0.2)), 4)
    5.0545
    """
    return _uniform_mixture(k, n, check_share(p0, "p0"), lambda a, _b, _p: np.ones_like(a), 0.0)


def loss_below(losses: ArrayLike, limit: float, *, bound: float = 1.0) -> float:
    """Compute the e-value against "the mean loss is at least limit", for losses of any distribution in [0, bound].

    It is the product over rows of 1 + b (limit - loss), averaged over fixed bets b below 1 / (bound - limit). Large
    values are evidence that the mean loss is below the limit. Waudby-Smith and Ramdas (2024), Estimating means of
    bounded random variables by betting, doi:10.1093/jrsssb/qkad009.

    EvidenceError unless the limit is in (0, bound) and all losses are in [0, bound].

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
    return float(_exp(logs).mean())


def e_bh(e_values: ArrayLike, *, alpha: float) -> Bools:
    """Return which hypotheses are rejected, so that at most alpha of the rejections are false on average (e-BH).

    The k largest of K e-values are rejected, for the largest k with all of them at least K / (alpha k). Valid under any
    dependence. Wang and Ramdas (2022), False discovery rate control with e-values, doi:10.1111/rssb.12489.

    >>> e_bh([100.0, 50.0, 1.0, 2.0], alpha=0.05)
    array([ True,  True, False, False])
    """
    e = np.asarray(e_values, dtype=np.float64)
    check_share(alpha, "alpha")
    largest_first = np.sort(e)[::-1]
    needed = e.size / (alpha * np.arange(1, e.size + 1))
    passing = np.flatnonzero(largest_first >= needed)
    rejected: Bools = e >= largest_first[passing[-1]] if passing.size else np.zeros(e.size, dtype=bool)
    return rejected


def e_holm(e_values: ArrayLike, *, alpha: float) -> Bools:
    """Return which hypotheses are rejected, so that any rejection is false with probability at most alpha.

    Holm's procedure on the p-values 1 / e; valid under any dependence. Holm (1979), A simple sequentially rejective
    multiple test procedure, https://www.jstor.org/stable/4615733.

    >>> e_holm([100.0, 50.0, 1.0, 2.0], alpha=0.05)
    array([ True, False, False, False])
    """
    e = np.asarray(e_values, dtype=np.float64)
    check_share(alpha, "alpha")
    order = np.argsort(-e, kind="stable")
    passing = e[order] >= (e.size - np.arange(e.size)) / alpha
    rejected = np.zeros(e.size, dtype=bool)
    rejected[order[: e.size if passing.all() else int(np.argmin(passing))]] = True
    return rejected


def _uniform_mixture(
    k: ArrayLike, n: ArrayLike, p0: float, tail: Callable[[Floats, Floats, float], Floats], log_width: float
) -> Floats:
    """Return the likelihood ratio of the uniform mixture over the rates that `tail` integrates against the rate p0."""
    errors, rows = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if not ((errors >= 0) & (errors <= rows)).all():
        raise EvidenceError("a count is negative or above its number of rows: wanted 0 <= k <= n.")
    others = rows - errors
    with np.errstate(divide="ignore"):  # log 0 is -inf: an e-value of 0
        log_tail = np.log(tail(errors + 1.0, others + 1.0, p0))
    log_likelihood = errors * math.log(p0) + others * math.log1p(-p0)
    return _exp(betaln(errors + 1.0, others + 1.0) + log_tail - log_likelihood - log_width)


def _exp(logs: Floats) -> Floats:
    with np.errstate(over="ignore", under="ignore"):  # infinity and 0 are valid e-values
        return np.exp(logs)
