"""Krippendorff's alpha: any number of people, missing votes, and any idea of how far two answers are apart."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from feedback.agreement.chance_corrected import as_patterns, estimate, with_bootstrap_interval
from feedback.agreement.coefficient import Coefficient, IntervalMethod, LinearizedCoefficient
from feedback.agreement.label_distances import LabelDistance, NominalDistance, SquaredDistance, label_distance
from feedback.agreement.vote_patterns import Patterns
from feedback.errors import VotesError
from feedback.votes import Floats, Votes

Level = Literal["nominal", "ordinal", "interval", "ratio"]


def krippendorff_alpha(
    votes: Votes | Patterns,
    *,
    level: Level = "nominal",
    values: ArrayLike | None = None,
    confidence: float = 0.95,
    interval_method: IntervalMethod = "analytic",
) -> Coefficient:
    """Krippendorff's alpha, <= 1: one minus the disagreement seen over the disagreement of votes dealt at random.

    `values` (k,) are the numbers behind the labels, else 0, 1, 2, ...; ordinal uses only their order. Krippendorff
    (2011); analytic standard error as Gwet (2014), with the distances taken as known.

    >>> votes = Votes([0, 0, 1, 1, 2, 2, 3, 3], [0, 1] * 4, [0, 0, 1, 1, 0, 1, 1, 1])
    >>> round(krippendorff_alpha(votes).value, 3)
    0.533
    """
    table = as_patterns(votes)
    distance = _scale(table, level, values)
    found = estimate("alpha", table, _alpha, distance, confidence, lowest=-1.0)
    return (
        found if interval_method == "analytic" else with_bootstrap_interval(found, table, _alpha, distance, confidence)
    )


def _alpha(table: Patterns, distance: LabelDistance) -> LinearizedCoefficient:
    paired = table.paired()
    votes = float(paired.times @ paired.size)
    mean_size = votes / paired.times.sum()
    shares: Floats = paired.times @ paired.counts / votes
    far = distance.against(shares)
    chance = 1.0 - float(shares @ far)
    if 1.0 - chance < 1e-12:
        return LinearizedCoefficient(math.nan, chance, paired.size * math.nan, paired.times)
    between = 1.0 - distance.within(paired.counts) / (paired.size * (paired.size - 1.0))
    seen = paired.mean(paired.size / mean_size * between)
    # Krippendorff deals votes without putting them back: hence 1 / votes, which vanishes as votes grow
    value = (seen + (1.0 - seen) / votes - chance) / (1.0 - chance)
    # the spread is that of the large-sample form, as Gwet's; `heavy` because items with more votes count for more
    heavy = paired.size / mean_size - 1.0
    large = (seen - chance) / (1.0 - chance)
    rows = paired.size / mean_size * between - (seen + (1.0 - seen) / votes) * heavy - chance
    chance_rows = (paired.size - paired.counts @ far) / mean_size - chance * heavy
    rows = (rows - 2.0 * (1.0 - large) * (chance_rows - chance)) / (1.0 - chance)
    return LinearizedCoefficient(value, chance, rows + (value - large), paired.times)


def _scale(table: Patterns, level: Level, values: ArrayLike | None) -> LabelDistance:
    k = table.counts.shape[1]
    if level == "nominal":
        return NominalDistance()
    if level == "interval":
        return label_distance("quadratic", k, values)
    if level == "ratio":
        return label_distance("ratio", k, values)
    if level != "ordinal":
        raise VotesError(f"no level called {level!r}; known: nominal, ordinal, interval, ratio.")
    order = np.arange(k) if values is None else np.asarray(values, dtype=np.float64)
    if order.shape != (k,):
        raise VotesError(f"values has shape {order.shape}; wanted {k} numbers, one per label.")
    paired = table.paired()
    used: Floats = np.asarray(paired.times @ paired.counts, dtype=np.float64)
    # the ordinal distance is the squared difference of mid-ranks: half of both labels and all votes between them
    ranked, place = np.unique(order, return_inverse=True)
    per_rank = np.bincount(place, weights=used, minlength=len(ranked))
    return SquaredDistance((np.cumsum(per_rank) - per_rank / 2.0)[place])
