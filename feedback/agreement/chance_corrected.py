"""Percent agreement; the kappas of Fleiss and Conger, Gwet's AC1 and AC2, Brennan-Prediger: five ideas of chance."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from feedback.agreement.category_distances import LabelDistance, NominalDistance, Weighting, label_distance
from feedback.agreement.coefficient import Coefficient, LinearizedCoefficient, analytic, undefined
from feedback.agreement.vote_patterns import Patterns, count_patterns, patterns_by_item
from feedback.votes import Floats, Votes

Measure = Callable[[Patterns, LabelDistance], LinearizedCoefficient]
# (agreeing, differing) pseudo-items: few items with a rare label would otherwise look like certainty, as 0 of n does
_FOR_LOWER_BOUND, _FOR_UPPER_BOUND = (0.5, 2.0), (2.0, 1.0)


def percent_agreement(votes: Votes | Patterns, *, weighting: Weighting | ArrayLike = "nominal") -> Coefficient:
    """Compute the share of pairs of votes on the same item that agree, not corrected for chance.

    Options are those of `fleiss_kappa`.

    >>> percent_agreement(Votes([0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1])).value
    0.5
    """
    return _coefficient("percent", votes, _percent, weighting, lowest=0.0)


def fleiss_kappa(
    votes: Votes | Patterns,
    *,
    weighting: Weighting | ArrayLike = "nominal",
    values: ArrayLike | None = None,
) -> Coefficient:
    """Compute Fleiss' kappa for any number of people: by chance, two votes are two draws from the pooled labels.

    With two people it is Scott's pi. At most 1; 0 is what chance gives. NaN with a note where no item has two votes or
    all votes are equal.

    Parameters
    ----------
    votes
        Missing votes are allowed. Give `count_patterns(votes)` to several measures, so that votes are counted once.
    weighting
        Disagreement between labels: a name, or a symmetric (k, k) matrix with 0 on the diagonal; see `label_distance`.
    values
        The numbers (k,) that the labels stand for; 0, 1, 2, ... by default. Only for weightings that are not nominal.

    References
    ----------
    Fleiss (1971), doi:10.1037/h0031619. Two people: Scott (1955), doi:10.1086/266577. Missing votes and standard
    error: Gwet (2014), Handbook of Inter-Rater Reliability, 4th edition.

    Examples
    --------
    >>> votes = Votes([0, 0, 1, 1, 2, 2], [0, 1] * 3, [0, 0, 1, 1, 0, 1])
    >>> round(fleiss_kappa(votes).value, 3)
    0.333
    """
    return _coefficient("fleiss", votes, _fleiss, weighting, values)


def gwet_ac1(
    votes: Votes | Patterns,
    *,
    weighting: Weighting | ArrayLike = "nominal",
    values: ArrayLike | None = None,
) -> Coefficient:
    """Compute Gwet's AC1, or AC2 where weighted: by chance, people agree only on items that are hard to label.

    It stays meaningful where one label is nearly always right and kappa falls to 0. Options are those of
    `fleiss_kappa`. Gwet (2008), doi:10.1348/000711006X126600.

    >>> paradox = np.repeat([[0, 0], [0, 1], [1, 0]], [118, 5, 2], axis=0)
    >>> votes = Votes(np.repeat(np.arange(125), 2), np.tile([0, 1], 125), paradox.ravel())
    >>> round(gwet_ac1(votes).value, 3)
    0.941
    """
    name = "ac1" if isinstance(weighting, str) and weighting == "nominal" else "ac2"
    return _coefficient(name, votes, _gwet, weighting, values)


def brennan_prediger(
    votes: Votes | Patterns,
    *,
    weighting: Weighting | ArrayLike = "nominal",
    values: ArrayLike | None = None,
) -> Coefficient:
    """Compute Brennan and Prediger's coefficient: by chance, every label is equally likely.

    For nominal labels it is Randolph's free-marginal kappa. Options are those of `fleiss_kappa`. Brennan and Prediger
    (1981), doi:10.1177/001316448104100307.
    """
    return _coefficient("brennan_prediger", votes, _brennan_prediger, weighting, values)


def conger_kappa(
    votes: Votes, *, weighting: Weighting | ArrayLike = "nominal", values: ArrayLike | None = None
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
        return _correct_for_chance(table, distance, *_chance_by_person(votes, table, distance))

    return estimate("conger", patterns_by_item(votes), measure, label_distance(weighting, votes.n_labels, values))


def estimate(
    name: str,
    table: Patterns,
    measure: Measure,
    distance: LabelDistance,
    *,
    lowest: float = -1.0,
) -> Coefficient:
    """Return the measure with its interval; NaN with a note where the votes do not define it.

    Student's interval on linearised items, each bound with pseudo-items that stand for what was not seen, as Agresti
    and Coull (1998, doi:10.1080/00031305.1998.10480550) do it for a share. By simulation it holds the truth in 92 % of
    samples or more from 20 items on, also where one label has 95 %; without pseudo-items, in 31 % of them there.
    """
    if not table.items:
        return undefined(name, 0, 0, "no item has two votes", lowest=lowest)
    linear = measure(table, distance)
    if not math.isfinite(linear.value):
        note = "everybody gave the same label to everything; chance alone explains that"
        return undefined(name, table.items, table.pairs, note, lowest=lowest)
    bounds = (measure(table.with_pseudo_items(*items), distance) for items in (_FOR_LOWER_BOUND, _FOR_UPPER_BOUND))
    low, high = bounds
    return analytic(name, linear, table.items, table.pairs, lowest=lowest, bounds=(low, high))


def _coefficient(
    name: str,
    votes: Votes | Patterns,
    measure: Measure,
    weighting: Weighting | ArrayLike,
    values: ArrayLike | None = None,
    *,
    lowest: float = -1.0,
) -> Coefficient:
    table = count_patterns(votes)
    distance = label_distance(weighting, table.counts.shape[1], values)
    return estimate(name, table, measure, distance, lowest=lowest)


def _percent(table: Patterns, distance: LabelDistance) -> LinearizedCoefficient:
    paired = table.paired()
    rows = _item_agreement(paired, distance)
    return LinearizedCoefficient(paired.mean(rows), 0.0, rows, paired.times)


def _fleiss(table: Patterns, distance: LabelDistance) -> LinearizedCoefficient:
    shares = _shares(table)
    expected = distance.against(shares)
    chance, chance_rows = 1.0 - float(shares @ expected), 1.0 - (table.counts @ expected) / table.size
    return _correct_for_chance(table, distance, chance, chance_rows)


def _gwet(table: Patterns, distance: LabelDistance) -> LinearizedCoefficient:
    k = table.counts.shape[1]
    shares = _shares(table)
    if k < 2:
        return _correct_for_chance(table, distance, 1.0, np.ones_like(table.size))
    factor = _total_agreement_weight(distance, k) / (k * (k - 1))
    rows = factor * (table.counts @ (1.0 - shares)) / table.size
    return _correct_for_chance(table, distance, factor * float(shares @ (1.0 - shares)), rows)


def _brennan_prediger(table: Patterns, distance: LabelDistance) -> LinearizedCoefficient:
    k = table.counts.shape[1]
    chance = _total_agreement_weight(distance, k) / k**2
    return _correct_for_chance(table, distance, chance, np.full_like(table.size, chance))


def _chance_by_person(votes: Votes, table: Patterns, distance: LabelDistance) -> tuple[float, Floats]:
    """Return the chance agreement over pairs of people, and its linearised rows, one per row of the table.

    The table has one row per item that has votes, and pseudo-items after them, whose votes belong to all people alike.
    """
    n_votes = np.bincount(votes.people, minlength=votes.n_people)
    code = np.cumsum(n_votes > 0) - 1
    people, r = code[votes.people], int((n_votes > 0).sum())
    if r < 2:
        return math.nan, np.empty(0)
    voted = np.bincount(votes.tasks, minlength=votes.n_tasks) > 0
    item, n_items = (np.cumsum(voted) - 1)[votes.tasks], int(voted.sum())
    pseudo, times = table.counts[n_items:], table.times[n_items:]
    cell = people * votes.n_labels + votes.labels
    given = np.bincount(cell, minlength=r * votes.n_labels).reshape(r, -1) + (times @ pseudo) / r
    total = given.sum(axis=1, keepdims=True)
    label_shares = given / total
    others = label_shares.sum(axis=0) - label_shares
    # agreement weights are 1 - distance; each row of label_shares sums to 1
    agreement = ((r - 1.0) - distance.against(others.T).T) / (r * (r - 1.0))
    mean = (label_shares * agreement).sum(axis=1, keepdims=True)
    chance = float(mean.sum())
    deviation = (agreement - mean) * table.times.sum() / total
    by_item = np.bincount(item, weights=deviation[people, votes.labels]).astype(np.float64)
    return chance, np.append(by_item, pseudo @ deviation.mean(axis=0)) + chance


def _correct_for_chance(
    table: Patterns, distance: LabelDistance, chance: float, chance_rows: Floats
) -> LinearizedCoefficient:
    """Return (observed - chance) / (1 - chance), linearised as in Gwet (2014).

    `chance_rows` (p,) is the chance agreement per pattern; its mean over items is `chance`.
    """
    paired = table.size >= 2
    n, n_paired = table.times.sum(), table.times[paired].sum()
    if not n_paired or not 1.0 - chance >= 1e-12:  # also for a chance of NaN
        return LinearizedCoefficient(math.nan, chance, table.size * math.nan, table.times)
    observed = np.where(paired, _item_agreement(table, distance), 0.0)
    value = float((table.times @ observed / n_paired - chance) / (1.0 - chance))
    rows = (n / n_paired) * (observed - chance * paired) - 2.0 * (1.0 - value) * (chance_rows - chance)
    return LinearizedCoefficient(value, chance, rows / (1.0 - chance), table.times)


def _item_agreement(table: Patterns, distance: LabelDistance) -> Floats:
    """Return the share of pairs of an item's votes that agree, (p,); meaningless for an item with one vote."""
    ordered_pairs = np.maximum(table.size * (table.size - 1.0), 1.0)
    agreement: Floats = 1.0 - distance.within(table.counts) / ordered_pairs
    return agreement


def _shares(table: Patterns) -> Floats:
    """Return the share of each label, (k,); every item has the same weight, however many votes it has."""
    shares: Floats = (table.times / table.size) @ table.counts / table.times.sum()
    return shares


def _total_agreement_weight(distance: LabelDistance, k: int) -> float:
    """Return the sum of 1 - d(i, j) over all pairs of labels."""
    if isinstance(distance, NominalDistance):
        return float(k)
    return k * k - float(distance.against(np.ones(k)).sum())
