"""Conger's kappa: Cohen's kappa for any number of people."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from feedback.agreement.chance_corrected import correct_for_chance, estimate
from feedback.agreement.coefficient import Coefficient, LinearizedCoefficient
from feedback.agreement.label_distances import LabelDistance, Weighting, label_distance
from feedback.agreement.vote_patterns import Patterns, patterns_by_item
from feedback.votes import Floats, Votes


def conger_kappa(
    votes: Votes,
    *,
    weighting: Weighting | ArrayLike = "nominal",
    values: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Coefficient:
    """Compute Conger's kappa: chance agreement is the mean over pairs of people of their own label shares.

    With two people it is Cohen's kappa. Unlike `cohen_kappa` it needs no two people who share many items. Options are
    those of `fleiss_kappa`. Conger (1980), doi:10.1037/0033-2909.88.2.322; missing votes and standard error: Gwet
    (2014), Handbook of Inter-Rater Reliability, 4th edition.

    >>> table = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [20, 5, 10, 15], axis=0)
    >>> round(conger_kappa(Votes(np.repeat(np.arange(50), 2), np.tile([0, 1], 50), table.ravel())).value, 3)
    0.4
    """

    def measure(table: Patterns, distance: LabelDistance) -> LinearizedCoefficient:
        return correct_for_chance(table, distance, *_chance(votes, distance))

    distance = label_distance(weighting, votes.n_labels, values)
    return estimate("conger", patterns_by_item(votes), measure, distance, confidence)


def _chance(votes: Votes, distance: LabelDistance) -> tuple[float, Floats]:
    """Return the chance agreement over pairs of people, and its linearised rows, one per item that has votes."""
    n_votes = np.bincount(votes.people, minlength=votes.n_people)
    code = np.cumsum(n_votes > 0) - 1
    n_votes = n_votes[n_votes > 0].astype(np.float64)
    people, r = code[votes.people], len(n_votes)
    if r < 2:
        return math.nan, np.empty(0)
    cell = people * votes.n_labels + votes.labels
    label_shares = np.bincount(cell, minlength=r * votes.n_labels).reshape(r, -1) / n_votes[:, None]
    others = label_shares.sum(axis=0) - label_shares
    # agreement weights are 1 - distance; each row of label_shares sums to 1
    agreement = ((r - 1.0) - distance.against(others.T).T) / (r * (r - 1.0))
    mean = (label_shares * agreement).sum(axis=1)
    chance = float(mean.sum())
    voted, item = np.unique(votes.tasks, return_inverse=True)
    deviation = (agreement[people, votes.labels] - mean[people]) * len(voted) / n_votes[people]
    return chance, np.bincount(item, weights=deviation).astype(np.float64) + chance
