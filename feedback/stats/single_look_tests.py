"""Tests for a single look decided in advance; gates and triggers use e-values instead."""

from __future__ import annotations

from scipy.special import bdtr, bdtrc, chdtrc

from feedback.stats.errors import EvidenceError, share


def binomial_tail(k: int, n: int, p0: float) -> float:
    """How often chance gives k or more of n at rate p0.

    In (0, 1]. As a trigger that is looked at again and again it fires by chance: that is what eprocess is for.

    >>> round(binomial_tail(12, 120, 0.05), 6)
    0.017303
    """
    if not 0 <= k <= n:
        raise EvidenceError(f"{k} of {n} cannot be: wanted 0 <= k <= n.")
    share(p0, "p0")
    return 1.0 if k == 0 else float(bdtrc(k - 1, n, p0))


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided exact p-value that a and b are right equally often, from the rows where one alone is right.

    In (0, 1]; 1 without such a row. McNemar (1947), by the binomial.

    >>> round(mcnemar_exact(9, 21), 6)
    0.042774
    """
    if min(only_a, only_b) < 0:
        raise EvidenceError(f"a count of ({only_a}, {only_b}) is negative.")
    n = only_a + only_b
    return 1.0 if n == 0 else min(1.0, 2.0 * float(bdtr(min(only_a, only_b), n, 0.5)))


def mcnemar_chi2(only_a: int, only_b: int) -> tuple[float, float]:
    """McNemar's statistic without continuity correction, and its p-value: for more than about 25 such rows.

    >>> statistic, p_value = mcnemar_chi2(86, 150)
    >>> round(statistic, 2)
    17.36
    """
    if min(only_a, only_b) < 0 or only_a + only_b == 0:
        raise EvidenceError(f"({only_a}, {only_b}) rows where one alone is right: wanted at least one.")
    statistic = (only_a - only_b) ** 2 / (only_a + only_b)
    return statistic, float(chdtrc(1, statistic))
