"""Bradley and Terry: how strong each thing is, from who was preferred to whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from feedback.errors import VotesError
from feedback.votes import Floats, Ints

_MOST_EXACT = 2000  # things up to which the standard errors need one dense inverse
_ROUNDS = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Strengths on the log scale, mean 0: a thing one above another wins 73 % of their comparisons."""

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
    """Rank things 0 .. n-1 from comparisons, one row each; `weights` are what each comparison counts.

    `prior` wins and as many losses against an average thing keep strengths finite where one thing always won. By
    minorisation and maximisation, Hunter (2004).

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
    for _ in range(_ROUNDS):
        met = weight / (skill[won] + skill[lost])
        load = np.bincount(won, weights=met, minlength=size) + np.bincount(lost, weights=met, minlength=size)
        moved = wins / (load + 2.0 * prior / (skill + 1.0))
        moved /= np.exp(np.log(moved).mean())  # the prior's average thing is the average of all
        step = float(np.abs(np.log(moved / skill)).max())
        skill = moved
        if step < 1e-9:
            break
    else:
        raise VotesError(f"strengths did not settle in {_ROUNDS} rounds; a larger prior helps.")
    strengths = np.log(skill)
    centred = strengths - strengths.mean()
    return Ranking(centred, _errors(skill, won, lost, weight, prior), np.argsort(-centred, kind="stable"))


def _errors(skill: Floats, won: Ints, lost: Ints, weight: Floats, prior: float) -> Floats:
    """From the curvature of the log likelihood at its top."""
    size = len(skill)
    if size > _MOST_EXACT:
        return np.full(size, np.nan)
    chance = skill[won] / (skill[won] + skill[lost])
    curve = weight * chance * (1.0 - chance)
    table = np.zeros((size, size))
    np.add.at(table, (won, lost), -curve)
    np.add.at(table, (lost, won), -curve)
    np.fill_diagonal(table, -table.sum(axis=1) + 2.0 * prior * skill / (1.0 + skill) ** 2)
    errors: Floats = np.sqrt(np.diagonal(np.linalg.inv(table)))
    return errors
