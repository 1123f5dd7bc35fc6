"""Conger's kappa: Cohen's idea for any number of people who all have their own habits."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from feedback.agreement.chance_corrected import item_agreement
from feedback.agreement.coefficient import Coefficient, LinearizedCoefficient, analytic, undefined
from feedback.agreement.label_distances import LabelDistance, Weighting, label_distance
from feedback.agreement.vote_patterns import patterns_by_item
from feedback.votes import Floats, Votes


def conger_kappa(
    votes: Votes,
    *,
    weighting: Weighting | ArrayLike = "nominal",
    values: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Coefficient:
    """Conger's kappa, <= 1: chance is the mean over all pairs of people of what their own habits would give.

    With two people it is Cohen's. Unlike `cohen_kappa` it needs no pair that shares many items. Conger (1980); missing
    votes and standard error as Gwet (2014).

    >>> table = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [20, 5, 10, 15], axis=0)
    >>> round(conger_kappa(Votes(np.repeat(np.arange(50), 2), np.tile([0, 1], 50), table.ravel())).value, 3)
    0.4
    """
    table = patterns_by_item(votes)
    items, pairs = table.items, table.pairs
    if not items:
        return undefined("conger", 0, 0, "no item has two votes")
    distance = label_distance(weighting, votes.n_labels, values)
    chance, chance_rows = _chance(votes, distance)
    if not 1.0 - chance > 1e-12:
        return undefined("conger", items, pairs, "everybody gave the same label to everything")
    paired = table.size >= 2
    n, n_paired = len(table.size), paired.sum()
    seen = np.where(paired, item_agreement(table, distance), 0.0)
    value = float((seen.sum() / n_paired - chance) / (1.0 - chance))
    rows = (n / n_paired) * (seen - chance * paired) - 2.0 * (1.0 - value) * (chance_rows - chance)
    linear = LinearizedCoefficient(value, chance, rows / (1.0 - chance), table.times)
    return analytic("conger", linear, items, pairs, confidence=confidence, lowest=-1.0)


def _chance(votes: Votes, distance: LabelDistance) -> tuple[float, Floats]:
    """Chance agreement over pairs of people, and its linearised rows, one per item that has votes."""
    given = np.bincount(votes.people, minlength=votes.n_people)
    who = np.cumsum(given > 0) - 1
    given = given[given > 0].astype(np.float64)
    people, r = who[votes.people], len(given)
    if r < 2:
        return math.nan, np.empty(0)
    cell = people * votes.n_labels + votes.labels
    habits = np.bincount(cell, minlength=r * votes.n_labels).reshape(r, -1) / given[:, None]
    others = habits.sum(axis=0) - habits
    # agreement weights are one minus the distances; habits sum to 1
    met = ((r - 1.0) - distance.against(others.T).T) / (r * (r - 1.0))
    mean = (habits * met).sum(axis=1)
    chance = float(mean.sum())
    voted, item = np.unique(votes.tasks, return_inverse=True)
    surprise = (met[people, votes.labels] - mean[people]) * len(voted) / given[people]
    return chance, np.bincount(item, weights=surprise).astype(np.float64) + chance
