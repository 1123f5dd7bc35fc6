"""Krippendorff's alpha for any number of people, missing votes, and nominal, ordinal, interval or ratio labels."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from feedback.agreement.chance_corrected import as_patterns, estimate
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
    """Compute Krippendorff's alpha: 1 - observed disagreement / disagreement of votes distributed at random.

    Other options, and what is undefined, are as for `fleiss_kappa`. The analytic interval takes the distances as fixed.

    Parameters
    ----------
    level
        Level of measurement of the labels.
    values
        The numbers (k,) that the labels stand for; 0, 1, 2, ... by default. "ordinal" uses only their order.

    Raises
    ------
    VotesError
        If the level is unknown or `values` does not have one number per label.

    References
    ----------
    Krippendorff (2011), Computing Krippendorff's alpha-reliability, https://repository.upenn.edu/asc_papers/43.
    Standard error: Gwet (2014), Handbook of Inter-Rater Reliability, 4th edition.

    Examples
    --------
    >>> votes = Votes([0, 0, 1, 1, 2, 2, 3, 3], [0, 1] * 4, [0, 0, 1, 1, 0, 1, 1, 1])
    >>> round(krippendorff_alpha(votes).value, 3)
    0.533
    """
    table = as_patterns(votes)
    return estimate("alpha", table, _alpha, _scale(table, level, values), confidence, interval_method=interval_method)


def _alpha(table: Patterns, distance: LabelDistance) -> LinearizedCoefficient:
    paired = table.paired()
    votes = float(paired.times @ paired.size)
    if not votes:  # a bootstrap resample may have no item with two votes
        return LinearizedCoefficient(math.nan, math.nan, paired.size, paired.times)
    mean_size = votes / paired.times.sum()
    shares: Floats = paired.times @ paired.counts / votes
    expected = distance.against(shares)
    chance = 1.0 - float(shares @ expected)
    if 1.0 - chance < 1e-12:
        return LinearizedCoefficient(math.nan, chance, paired.size * math.nan, paired.times)
    agreement = 1.0 - distance.within(paired.counts) / (paired.size * (paired.size - 1.0))
    observed = paired.mean(paired.size / mean_size * agreement)
    # votes are drawn without replacement: hence the term 1 / votes, which vanishes as votes grow
    value = (observed + (1.0 - observed) / votes - chance) / (1.0 - chance)
    # the standard error is that of the large-sample form, as in Gwet; items with more votes have more weight
    extra_weight = paired.size / mean_size - 1.0
    large_sample = (observed - chance) / (1.0 - chance)
    rows = paired.size / mean_size * agreement - (observed + (1.0 - observed) / votes) * extra_weight - chance
    chance_rows = (paired.size - paired.counts @ expected) / mean_size - chance * extra_weight
    rows = (rows - 2.0 * (1.0 - large_sample) * (chance_rows - chance)) / (1.0 - chance)
    return LinearizedCoefficient(value, chance, rows + (value - large_sample), paired.times)


def _scale(table: Patterns, level: Level, values: ArrayLike | None) -> LabelDistance:
    k = table.counts.shape[1]
    if level == "nominal":
        return NominalDistance()
    if level == "interval":
        return label_distance("quadratic", k, values)
    if level == "ratio":
        return label_distance("ratio", k, values)
    if level != "ordinal":
        raise VotesError(f"no level called {level!r}; wanted nominal, ordinal, interval or ratio.")
    order = np.arange(k) if values is None else np.asarray(values, dtype=np.float64)
    if order.shape != (k,):
        raise VotesError(f"values has shape {order.shape}; wanted {k} numbers, one per label.")
    paired = table.paired()
    used: Floats = np.asarray(paired.times @ paired.counts, dtype=np.float64)
    # the ordinal distance is the squared difference of mid-ranks: half the votes of both labels and all between them
    ranked, place = np.unique(order, return_inverse=True)
    per_rank = np.bincount(place, weights=used, minlength=len(ranked))
    return SquaredDistance((np.cumsum(per_rank) - per_rank / 2.0)[place])
