"""The Bradley-Terry model: strengths of things from pairwise comparisons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from feedback.errors import VotesError
from feedback.votes import Floats, Ints

_MAX_FOR_ERRORS = 2000  # things; standard errors need the inverse of a dense matrix of this size
_MAX_ROUNDS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Strengths on the log scale, mean 0: a thing with a strength 1 above another wins 73 % of comparisons with it."""

    strengths: Floats  # (n,)
    se: Floats  # (n,) standard errors; NaN beyond 2,000 things
    order: Ints  # (n,) best first


def bradley_terry(
    winners: ArrayLike,
    losers: ArrayLike,
    *,
    n: int | None = None,
    weights: ArrayLike | None = None,
    prior: float = 0.5,
) -> Ranking:
    r"""Rank things from pairwise comparisons.

    Thing i is preferred to thing j with probability :math:`w_i / (w_i + w_j)`, independently of other comparisons; the
    strength is :math:`\log w`. Fitted by minorisation-maximisation, which increases the likelihood in every round.

    Parameters
    ----------
    winners, losers
        Codes of things from 0, one row per comparison, shape (m,).
    n
        Number of things; the largest code plus 1 by default.
    weights
        Weight of each comparison, shape (m,); 1 by default.
    prior
        Each thing gets this many wins and losses against an average thing, which keeps strengths finite.

    Raises
    ------
    VotesError
        If shapes differ, there are no comparisons, a thing is compared with itself, or the fit does not converge.

    References
    ----------
    Bradley and Terry (1952), doi:10.2307/2334029. Algorithm: Hunter (2004), doi:10.1214/aos/1079120141.

    Examples
    --------
    >>> bradley_terry([0, 0, 1, 1], [1, 2, 2, 0]).order.tolist()
    [0, 1, 2]
    """
    won, lost = np.asarray(winners, dtype=np.int64), np.asarray(losers, dtype=np.int64)
    if won.shape != lost.shape or won.ndim != 1 or not len(won):
        raise VotesError(f"winners have shape {won.shape}, losers {lost.shape}; wanted one row per comparison.")
    if (won == lost).any() or min(won.min(), lost.min()) < 0 or prior <= 0:
        raise VotesError("a thing cannot be compared with itself; codes start at 0, and prior is above 0.")
    weight = np.ones(len(won)) if weights is None else np.asarray(weights, dtype=np.float64)
    size = max(int(won.max()), int(lost.max())) + 1 if n is None else n
    wins = np.bincount(won, weights=weight, minlength=size) + prior
    skill: Floats = np.ones(size)
    for _ in range(_MAX_ROUNDS):
        rate = weight / (skill[won] + skill[lost])
        exposure = np.bincount(won, weights=rate, minlength=size) + np.bincount(lost, weights=rate, minlength=size)
        updated = wins / (exposure + 2.0 * prior / (skill + 1.0))
        updated /= np.exp(np.log(updated).mean())  # the average thing of the prior is the mean of all
        step = float(np.abs(np.log(updated / skill)).max())
        skill = updated
        if step < 1e-9:
            break
    else:
        raise VotesError(f"strengths did not converge in {_MAX_ROUNDS} rounds; use a larger prior.")
    strengths = np.log(skill)
    centred = strengths - strengths.mean()
    return Ranking(centred, _standard_errors(skill, won, lost, weight, prior), np.argsort(-centred, kind="stable"))


def _standard_errors(skill: Floats, won: Ints, lost: Ints, weight: Floats, prior: float) -> Floats:
    """Return standard errors, (n,), from the curvature of the log-likelihood at its maximum."""
    size = len(skill)
    if size > _MAX_FOR_ERRORS:
        return np.full(size, np.nan)
    chance = skill[won] / (skill[won] + skill[lost])
    curve = weight * chance * (1.0 - chance)
    table = np.zeros((size, size))
    np.add.at(table, (won, lost), -curve)
    np.add.at(table, (lost, won), -curve)
    np.fill_diagonal(table, -table.sum(axis=1) + 2.0 * prior * skill / (1.0 + skill) ** 2)
    errors: Floats = np.sqrt(np.diagonal(np.linalg.inv(table)))
    return errors
