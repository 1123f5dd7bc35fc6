"""Cohen's kappa of two people, of every pair of people, and its mean over all pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feedback.agreement.category_distances import LabelDistance, Weighting, label_distance
from feedback.agreement.chance_corrected import conger_kappa
from feedback.agreement.coefficient import Coefficient, LinearizedCoefficient, analytic, undefined
from feedback.votes import Floats, Ints, Votes

_MAX_PAIRS = 5_000_000  # pairs of votes; above it kappa is estimated on randomly drawn items
_MAX_CELLS = 5_000_000  # pairs of people times labels in memory, in six tables
_MIN_SHARED = 5  # items; chance decides the kappa of two people who share fewer
_EPS = 1e-12  # expected disagreement below it: all votes are equal


@dataclass(frozen=True, slots=True, eq=False)
class PairKappas:
    """Cohen's kappa of g pairs of people, and of the jackknife for each of their n pairs of votes; NaN: undefined."""

    values: Floats  # (g,)
    chance: Floats  # (g,) agreement by chance
    pseudo_values: Floats  # (n,) the mean over a group is its kappa without the bias of few items


@dataclass(frozen=True, slots=True, eq=False)
class VotePairs:
    """Pairs of votes on the same task by different people; `left` < `right` are codes of people."""

    task: Ints  # (n,)
    left: Ints
    right: Ints
    left_label: Ints
    right_label: Ints

    def __len__(self) -> int:
        return len(self.task)

    def select(self, keep: NDArray[np.bool_] | Ints) -> VotePairs:
        """Return the pairs that a mask (n,) or row numbers select."""
        return VotePairs(
            self.task[keep], self.left[keep], self.right[keep], self.left_label[keep], self.right_label[keep]
        )


def pair_votes(votes: Votes, *, max_pairs: int = _MAX_PAIRS) -> VotePairs:
    """Return all pairs of votes on the same task; above `max_pairs`, those of randomly drawn tasks.

    >>> len(pair_votes(Votes([0, 0, 0], [0, 1, 2], [0, 0, 1])))
    3
    """
    size = np.bincount(votes.tasks, minlength=votes.n_tasks).astype(np.float64)
    total = float((size * (size - 1)).sum() / 2)
    if total > max_pairs:
        drawn = np.random.default_rng(0).random(votes.n_tasks) < max_pairs / total
        votes = votes.select(drawn[votes.tasks])
    order = np.argsort(votes.tasks * votes.n_people + votes.people, kind="stable")
    task, person, label = votes.tasks[order], votes.people[order], votes.labels[order]
    parts = []
    for step in range(1, int(size.max(initial=1))):
        same = np.flatnonzero((task[step:] == task[:-step]) & (person[step:] != person[:-step]))
        parts.append(np.stack([task[same], person[same], person[same + step], label[same], label[same + step]]))
    rows = np.concatenate(parts, axis=1) if parts else np.empty((5, 0), dtype=np.int64)
    return VotePairs(*rows)


def cohen_kappa(
    votes: Votes, *, weighting: Weighting | ArrayLike = "nominal", values: ArrayLike | None = None
) -> Coefficient:
    """Compute Cohen's kappa; for more than two people the mean over pairs, weighted by the items that they share.

    At most 1; 0 is what chance gives. NaN with a note where no pair of people shares enough items.

    The standard error is the published one for two people, and the jackknife's over items for more. The interval is
    Conger's, whose kappa is the same for two people. For more it also holds the jackknife's, which is without the bias
    of few shared items that the value has: of 60 people, a true .64 appears as .57. Alpha and Conger's kappa have no
    such bias.

    Options are those of `fleiss_kappa`. Pairs of people who share fewer than five items are left out.

    References
    ----------
    Cohen (1960), doi:10.1177/001316446002000104. Weighted: Cohen (1968), doi:10.1037/h0026256. Standard error: Fleiss,
    Cohen and Everitt (1969), doi:10.1037/h0028106.

    Examples
    --------
    >>> table = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [20, 5, 10, 15], axis=0)
    >>> votes = Votes(np.repeat(np.arange(50), 2), np.tile([0, 1], 50), table.ravel())
    >>> round(cohen_kappa(votes).value, 3)
    0.4
    """
    pairs = pair_votes(votes)
    kept, group, shared = _group_by_people(pairs, votes.n_people, _MAX_CELLS // max(votes.n_labels, 1))
    if len(shared) == 1:
        return _of_two_people(kept, weighting, values, votes.n_labels)
    if not len(kept):
        note = f"no two people share {_MIN_SHARED} items; alpha, fleiss and ac1 need no such pair"
        return undefined("cohen", len(np.unique(pairs.task)), len(pairs), note)
    found = _kappas_by_pair(kept, group, shared, label_distance(weighting, votes.n_labels, values), votes.n_labels)
    each = found.values[group]
    usable = np.isfinite(each)
    _, item = np.unique(kept.task[usable], return_inverse=True)
    times = np.bincount(item).astype(np.float64)
    if not len(times):
        note = f"people who share {_MIN_SHARED} items gave one and the same label; chance alone explains that"
        return undefined("cohen", len(np.unique(kept.task)), len(kept), note)
    value, chance = float(each[usable].mean()), float(found.chance[group[usable]].mean())
    # kappa is biased low on few items: for one pair much less than its error, but a mean over many pairs has no error
    rows = found.pseudo_values[usable]
    centre = float(rows.mean())
    # a ratio estimator: items weigh by their pairs, and all pairs of an item are one observation
    sums = np.bincount(item, weights=rows - centre) * len(times) / times.sum()
    linear = LinearizedCoefficient(centre, chance, centre + sums, np.ones(len(times)))
    jackknife = analytic("cohen", linear, len(times), len(rows))
    conger = conger_kappa(votes, weighting=weighting, values=values)
    low, high = min(jackknife.low, conger.low, value), max(jackknife.high, conger.high, value)
    return replace(jackknife, value=value, low=low, high=high)


def pairwise_kappa(votes: Votes, *, max_people: int = 30) -> Mapping[tuple[int, int], Coefficient]:
    """Compute Cohen's kappa of every pair among the `max_people` people with most votes who share five items or more.

    The keys are codes of people, of each pair the one with more votes first. Pairs whose kappa is undefined are left
    out.

    >>> votes = Votes(np.repeat(np.arange(20), 2), np.tile([0, 1], 20), np.repeat(np.arange(20) % 2, 2))
    >>> pairwise_kappa(votes)[0, 1].value
    1.0
    """
    n_votes = np.bincount(votes.people, minlength=votes.n_people)
    people = np.argsort(-n_votes, kind="stable")[: min(max_people, int((n_votes > 0).sum()))]
    place = np.full(votes.n_people, -1)
    place[people] = np.arange(len(people))
    kept = votes.select(place[votes.people] >= 0)
    kept = Votes(kept.tasks, place[kept.people], kept.labels, votes.n_tasks, len(people), votes.n_labels)
    pairs, group, shared = _group_by_people(pair_votes(kept), len(people), len(people) ** 2)
    kappas: dict[tuple[int, int], Coefficient] = {}
    for rows in np.split(np.argsort(group, kind="stable"), np.cumsum(shared)[:-1]) if len(shared) else ():
        own = pairs.select(rows)
        kappa = _of_two_people(own, "nominal", None, votes.n_labels)
        if not math.isnan(kappa.value):
            kappas[int(people[own.left[0]]), int(people[own.right[0]])] = kappa
    return kappas


def _of_two_people(
    pairs: VotePairs, weighting: Weighting | ArrayLike, values: ArrayLike | None, n_labels: int
) -> Coefficient:
    """Return Cohen's kappa of two people, which is Conger's, with the published standard error."""
    n = len(pairs)
    votes = Votes(
        np.tile(np.arange(n), 2), np.repeat([0, 1], n), np.append(pairs.left_label, pairs.right_label), n, 2, n_labels
    )
    found = conger_kappa(votes, weighting=weighting, values=values)
    return replace(found, name="cohen", se=found.se * math.sqrt((n - 1) / n))


def _group_by_people(pairs: VotePairs, n_people: int, most: int) -> tuple[VotePairs, Ints, Ints]:
    """Group pairs of votes by pair of people; return the kept pairs, the group of each, and the items per group."""
    _, group, shared = np.unique(pairs.left * n_people + pairs.right, return_inverse=True, return_counts=True)
    wanted = shared >= _MIN_SHARED
    if wanted.sum() > most:
        wanted &= shared > np.sort(shared)[-most]
    keep = wanted[group] if len(group) else np.zeros(0, dtype=np.bool_)
    renumbered = np.cumsum(wanted) - 1
    return pairs.select(keep), renumbered[group[keep]], shared[wanted]


def _kappas_by_pair(pairs: VotePairs, group: Ints, shared: Ints, distance: LabelDistance, n_labels: int) -> PairKappas:
    """Compute the kappa of each group of pairs; `group` (n,) and `shared` (g,) are from `_group_by_people`."""
    n_groups = len(shared)
    left = np.bincount(pairs.left_label * n_groups + group, minlength=n_labels * n_groups).reshape(n_labels, -1)
    right = np.bincount(pairs.right_label * n_groups + group, minlength=n_labels * n_groups).reshape(n_labels, -1)
    far_right = distance.against(right / shared)
    far_left = distance.against(left / shared)
    apart_each = distance.lookup(pairs.left_label, pairs.right_label)
    seen = np.bincount(group, weights=apart_each, minlength=n_groups) / shared
    expected = np.einsum("kg,kg->g", left / shared, far_right)
    expected[expected < _EPS] = math.nan
    values = 1.0 - seen / expected
    habits = far_right[pairs.left_label, group] + far_left[pairs.right_label, group]
    # kappa without one item, from the sums
    n = shared[group].astype(np.float64)
    rest = np.maximum(n - 1.0, 1.0)
    expected_rest = (n * n * expected[group] - n * habits + apart_each) / rest**2
    left_out = 1.0 - (n * seen[group] - apart_each) / rest / np.maximum(expected_rest, _EPS)
    left_out = np.where(expected_rest > _EPS, left_out, values[group])
    return PairKappas(values, 1.0 - expected, n * values[group] - (n - 1.0) * left_out)
