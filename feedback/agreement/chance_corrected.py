"""Agreement by items: percent, Fleiss, Scott, Gwet and Brennan-Prediger differ only in what chance would give."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from feedback.agreement.coefficient import Coefficient, How, Linear, analytic, undefined
from feedback.agreement.label_distances import Nominal, Scale, Weighting, scale
from feedback.agreement.vote_patterns import Patterns, patterns
from feedback.errors import VotesError
from feedback.stats.bootstrap import bootstrap
from feedback.stats.intervals import wilson
from feedback.votes import Floats, Votes

_ONE_LABEL = "everybody gave the same label to everything; chance alone explains that"
_NO_PAIRS = "no item has two votes"
Measure = Callable[[Patterns, Scale], Linear]


def percent(
    votes: Votes | Patterns, *, weighting: Weighting | ArrayLike = "nominal", confidence: float = 0.95
) -> Coefficient:
    """How often two people who saw the same item gave the same label, in [0, 1]; not corrected for chance.

    >>> percent(Votes([0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1])).value
    0.5
    """
    table = counted(votes)
    found = figure("percent", table, _percent, scale(weighting, table.counts.shape[1]), confidence, lowest=0.0)
    if not found.se > 0:
        return found
    # Wilson's interval for as many independent items as would give the same standard error
    n = found.value * (1.0 - found.value) / found.se**2
    share = wilson(found.value * n, n, confidence=confidence)
    return replace(found, low=share.low, high=share.high)


def fleiss(
    votes: Votes | Patterns,
    *,
    weighting: Weighting | ArrayLike = "nominal",
    values: ArrayLike | None = None,
    confidence: float = 0.95,
    how: How = "analytic",
) -> Coefficient:
    """Fleiss' kappa, <= 1: chance is two draws from the pooled labels. Fleiss (1971); missing votes as Gwet (2014)."""
    return _coefficient("fleiss", votes, _fleiss, weighting, values, confidence, how)


def scott(
    votes: Votes | Patterns,
    *,
    weighting: Weighting | ArrayLike = "nominal",
    values: ArrayLike | None = None,
    confidence: float = 0.95,
    how: How = "analytic",
) -> Coefficient:
    """Scott's pi, <= 1, for two people; chance as for Fleiss. Scott (1955).

    Raises VotesError when an item has more than two votes.
    """
    table = counted(votes)
    if table.size.size and table.size.max() > 2:
        raise VotesError("Scott's pi compares two people; an item here has more votes: use fleiss or alpha.")
    return _coefficient("scott", table, _fleiss, weighting, values, confidence, how)


def gwet(
    votes: Votes | Patterns,
    *,
    weighting: Weighting | ArrayLike = "nominal",
    values: ArrayLike | None = None,
    confidence: float = 0.95,
    how: How = "analytic",
) -> Coefficient:
    """Gwet's AC1 (AC2 when weighted), <= 1; stays sensible when one label is nearly always right. Gwet (2008).

    >>> paradox = np.repeat([[0, 0], [0, 1], [1, 0]], [118, 5, 2], axis=0)
    >>> votes = Votes(np.repeat(np.arange(125), 2), np.tile([0, 1], 125), paradox.ravel())
    >>> round(gwet(votes).value, 3)
    0.941
    """
    name = "ac1" if isinstance(weighting, str) and weighting == "nominal" else "ac2"
    return _coefficient(name, votes, _gwet, weighting, values, confidence, how)


def brennan_prediger(
    votes: Votes | Patterns,
    *,
    weighting: Weighting | ArrayLike = "nominal",
    values: ArrayLike | None = None,
    confidence: float = 0.95,
    how: How = "analytic",
) -> Coefficient:
    """Brennan and Prediger's coefficient, <= 1: chance picks every label alike; also Randolph's free kappa."""
    return _coefficient("brennan_prediger", votes, _brennan_prediger, weighting, values, confidence, how)


def _coefficient(
    name: str,
    votes: Votes | Patterns,
    measure: Measure,
    weighting: Weighting | ArrayLike,
    values: ArrayLike | None,
    confidence: float,
    how: How,
) -> Coefficient:
    table = counted(votes)
    apart = scale(weighting, table.counts.shape[1], values)
    found = figure(name, table, measure, apart, confidence, lowest=-1.0)
    return found if how == "analytic" else resampled(found, table, measure, apart, confidence)


def resampled(
    found: Coefficient, table: Patterns, measure: Measure, apart: Scale, confidence: float, *, seed: int = 0
) -> Coefficient:
    """The same figure with the item bootstrap's interval; where the spread is zero, it proves nothing and is kept."""
    if not found.se > 0:
        return found

    def statistic(weights: Floats) -> Floats:
        return np.array([measure(table.times_are(times), apart).value for times in weights])

    drawn = bootstrap(statistic, table.times, seed=seed, confidence=confidence)
    return replace(found, low=drawn.low, high=drawn.high)


def figure(
    name: str, table: Patterns, measure: Measure, apart: Scale, confidence: float, *, lowest: float
) -> Coefficient:
    """Measure, and give the analytic interval; NaN with its reason where the votes do not define the figure."""
    items, pairs = table.items, table.pairs
    if not items:
        return undefined(name, 0, 0, _NO_PAIRS, lowest=lowest)
    linear = measure(table, apart)
    if not math.isfinite(linear.value):
        return undefined(name, items, pairs, _ONE_LABEL, lowest=lowest)
    return analytic(name, linear, items, pairs, confidence=confidence, lowest=lowest)


def counted(votes: Votes | Patterns) -> Patterns:
    """Votes as patterns; patterns as they are, so that several figures share one count."""
    return votes if isinstance(votes, Patterns) else patterns(votes)


def _percent(table: Patterns, apart: Scale) -> Linear:
    paired = table.paired()
    rows = observed(paired, apart)
    return Linear(paired.mean(rows), 0.0, rows, paired.times)


def _fleiss(table: Patterns, apart: Scale) -> Linear:
    shares = _shares(table)
    far = apart.against(shares)
    return _corrected(table, apart, 1.0 - float(shares @ far), 1.0 - (table.counts @ far) / table.size)


def _gwet(table: Patterns, apart: Scale) -> Linear:
    k = table.counts.shape[1]
    shares = _shares(table)
    if k < 2:
        return _corrected(table, apart, 1.0, np.ones_like(table.size))
    factor = _likeness(apart, k) / (k * (k - 1))
    rows = factor * (table.counts @ (1.0 - shares)) / table.size
    return _corrected(table, apart, factor * float(shares @ (1.0 - shares)), rows)


def _brennan_prediger(table: Patterns, apart: Scale) -> Linear:
    k = table.counts.shape[1]
    chance = _likeness(apart, k) / k**2
    return _corrected(table, apart, chance, np.full_like(table.size, chance))


def _corrected(table: Patterns, apart: Scale, chance: float, chance_rows: Floats) -> Linear:
    """(observed - chance) / (1 - chance), linearised as Gwet (2014, ch. 5); `chance_rows` average to `chance`."""
    paired = table.size >= 2
    n, n_paired = table.times.sum(), table.times[paired].sum()
    if not n_paired or 1.0 - chance < 1e-12:
        return Linear(math.nan, chance, table.size * math.nan, table.times)
    seen = np.where(paired, observed(table, apart), 0.0)
    value = float((table.times @ seen / n_paired - chance) / (1.0 - chance))
    rows = (n / n_paired) * (seen - chance * paired) - 2.0 * (1.0 - value) * (chance_rows - chance)
    return Linear(value, chance, rows / (1.0 - chance), table.times)


def observed(table: Patterns, apart: Scale) -> Floats:
    """The agreement of each item's votes among themselves; meaningless for an item with one vote."""
    between = np.maximum(table.size * (table.size - 1.0), 1.0)
    agreed: Floats = 1.0 - apart.within(table.counts) / between
    return agreed


def _shares(table: Patterns) -> Floats:
    """How often each label is used; every item weighs the same however many votes it has."""
    shares: Floats = (table.times / table.size) @ table.counts / table.times.sum()
    return shares


def _likeness(apart: Scale, k: int) -> float:
    """The sum of all agreement weights."""
    return k * k - float(apart.against(np.ones(k)).sum()) if not isinstance(apart, Nominal) else float(k)
