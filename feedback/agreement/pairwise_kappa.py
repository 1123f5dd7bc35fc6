"""Who agrees with whom: one kappa for every two people, with the items that they share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from feedback.agreement.cohen_kappa import by_people, interval, kappas, pair_up
from feedback.agreement.label_distances import Weighting, scale
from feedback.votes import Floats, Ints, Votes


@dataclass(frozen=True, slots=True, eq=False)
class PairMatrix:
    """Cohen's kappa of every two people; NaN on the diagonal and where too little is shared. Rows as `people`."""

    people: Ints  # (p,) codes, most votes first
    kappa: Floats  # (p, p)
    low: Floats  # (p, p) interval
    high: Floats
    shared: Ints  # (p, p) items that both voted on


def pairwise(
    votes: Votes,
    *,
    weighting: Weighting | ArrayLike = "nominal",
    values: ArrayLike | None = None,
    most: int = 30,
    min_shared: int = 5,
    confidence: float = 0.95,
) -> PairMatrix:
    """The matrix for the `most` people with most votes: a page that shows more cannot be read.

    >>> votes = Votes(np.repeat(np.arange(20), 2), np.tile([0, 1], 20), np.repeat(np.arange(20) % 2, 2))
    >>> pairwise(votes).kappa.round(2)
    array([[nan,  1.],
           [ 1., nan]])
    """
    given = np.bincount(votes.people, minlength=votes.n_people)
    people = np.argsort(-given, kind="stable")[: min(most, int((given > 0).sum()))]
    place = np.full(votes.n_people, -1)
    place[people] = np.arange(len(people))
    kept = votes.where(place[votes.people] >= 0)
    kept = Votes(kept.tasks, place[kept.people], kept.labels, votes.n_tasks, len(people), votes.n_labels)
    pairs, group, shared = by_people(pair_up(kept), len(people), min_shared, len(people) ** 2)
    shape = (len(people), len(people))
    kappa, low, high, met = (np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape))
    found = kappas(pairs, group, shared, scale(weighting, votes.n_labels, values), votes.n_labels)
    for at, members in enumerate(np.split(np.argsort(group, kind="stable"), np.cumsum(shared)[:-1])):
        if not len(members):  # nobody shares enough
            break
        one, other = pairs.left[members[0]], pairs.right[members[0]]
        met[one, other] = met[other, one] = len(members)
        if not math.isnan(found.values[at]):
            bounds = interval(found, members, at, confidence=confidence)
            kappa[one, other] = kappa[other, one] = found.values[at]
            low[one, other], high[one, other] = low[other, one], high[other, one] = bounds
    return PairMatrix(people, kappa, low, high, met.astype(np.int64))
