"""Cohen's kappa: two people at a time, each with their own habits; for more people, averaged over pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feedback.agreement.coefficient import Coefficient, Linear, analytic, undefined
from feedback.agreement.label_distances import Scale, Weighting, scale
from feedback.votes import Floats, Ints, Votes

_MOST_PAIRS = 5_000_000  # beyond that, kappa is estimated on randomly drawn items; the interval covers it
_MOST_CELLS = 20_000_000  # people pairs × labels held at once
_SMALL = 30  # items below which two people's interval is Student's; from it, the published one for large samples
_NOTHING = 1e-12  # disagreement by chance: everybody gave one label


@dataclass(frozen=True, slots=True, eq=False)
class Kappas:
    """Cohen's kappa of every two people, and what each pair of votes says of it; NaN where it is undefined."""

    values: Floats  # (g,)
    chance: Floats  # (g,) agreement by chance
    rows: Floats  # (n,) linearised: their mean is the kappa
    freed: Floats  # (n,) the jackknife's pseudo-values: their mean is the kappa, freed of its bias on few items


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Every two votes on the same task by different people; `left` < `right` are people."""

    task: Ints  # (n,)
    left: Ints
    right: Ints
    left_label: Ints
    right_label: Ints

    def __len__(self) -> int:
        return len(self.task)

    def where(self, keep: NDArray[np.bool_]) -> Pairs:
        """The pairs that `keep` marks."""
        return Pairs(self.task[keep], self.left[keep], self.right[keep], self.left_label[keep], self.right_label[keep])


def pair_up(votes: Votes, *, most: int = _MOST_PAIRS, seed: int = 0) -> Pairs:
    """Put each task's votes side by side; above `most` pairs, those of randomly drawn tasks.

    >>> len(pair_up(Votes([0, 0, 0], [0, 1, 2], [0, 0, 1])))
    3
    """
    size = np.bincount(votes.tasks, minlength=votes.n_tasks).astype(np.float64)
    total = float((size * (size - 1)).sum() / 2)
    if total > most:
        drawn = np.random.default_rng(seed).random(votes.n_tasks) < most / total
        votes = votes.where(drawn[votes.tasks])
    order = np.argsort(votes.tasks * votes.n_people + votes.people, kind="stable")
    task, person, label = votes.tasks[order], votes.people[order], votes.labels[order]
    parts = []
    for step in range(1, int(size.max(initial=1))):
        same = np.flatnonzero((task[step:] == task[:-step]) & (person[step:] != person[:-step]))
        parts.append(np.stack([task[same], person[same], person[same + step], label[same], label[same + step]]))
    rows = np.concatenate(parts, axis=1) if parts else np.empty((5, 0), dtype=np.int64)
    return Pairs(*rows)


def cohen(
    votes: Votes,
    *,
    weighting: Weighting | ArrayLike = "nominal",
    values: ArrayLike | None = None,
    confidence: float = 0.95,
    min_shared: int = 5,
) -> Coefficient:
    """Cohen's kappa, <= 1; more than two people: the mean over pairs, weighted by the items that they share.

    Pairs that share fewer than `min_shared` items say more about luck than about people and are left out.
    Cohen (1960, 1968); standard error of Fleiss, Cohen and Everitt (1969); of more people the jackknife's, by item.

    >>> table = np.repeat([[0, 0], [0, 1], [1, 0], [1, 1]], [20, 5, 10, 15], axis=0)
    >>> votes = Votes(np.repeat(np.arange(50), 2), np.tile([0, 1], 50), table.ravel())
    >>> round(cohen(votes).value, 3)
    0.4
    """
    pairs = pair_up(votes)
    kept, group, shared = by_people(pairs, votes.n_people, min_shared, _MOST_CELLS // max(votes.n_labels, 1))
    if not len(kept):
        note = f"no two people share {min_shared} items; alpha, fleiss and ac1 need no such pair"
        return undefined("cohen", len(np.unique(pairs.task)), len(pairs), note)
    found = kappas(kept, group, shared, scale(weighting, votes.n_labels, values), votes.n_labels)
    usable = np.isfinite(found.rows)
    _, item = np.unique(kept.task[usable], return_inverse=True)
    times = np.bincount(item).astype(np.float64)
    if not len(times):
        note = f"people who share {min_shared} items gave one and the same label; chance alone explains that"
        return undefined("cohen", len(np.unique(kept.task)), len(kept), note)
    value, chance = float(found.rows[usable].mean()), float(found.chance[group[usable]].mean())
    # the kappa of two people is too low on few items: of one pair far less than its error, which over many averages out
    rows = found.rows[usable] if len(shared) == 1 else found.freed[usable]
    centre = float(rows.mean())
    # a ratio estimator: items weigh by their pairs, and all pairs of an item stand or fall together
    sums = np.bincount(item, weights=rows - centre) * len(times) / times.sum()
    linear = Linear(centre, chance, centre + sums, np.ones(len(times)))
    published, wider = (
        analytic("cohen", linear, len(times), len(rows), confidence=confidence, lowest=-1.0, student=student)
        for student in (False, True)
    )
    if len(shared) == 1:
        return published if len(times) >= _SMALL else replace(published, low=wider.low, high=wider.high)
    return replace(wider, value=value, low=min(wider.low, value), high=max(wider.high, value))


def by_people(pairs: Pairs, n_people: int, min_shared: int, most: int) -> tuple[Pairs, Ints, Ints]:
    """Group pairs of votes by pair of people: the pairs kept, the group of each, and the items shared per group."""
    _, group, shared = np.unique(pairs.left * n_people + pairs.right, return_inverse=True, return_counts=True)
    wanted = shared >= min_shared
    if wanted.sum() > most:
        wanted &= shared > np.sort(shared)[-most]
    keep = wanted[group] if len(group) else np.zeros(0, dtype=np.bool_)
    renumbered = np.cumsum(wanted) - 1
    return pairs.where(keep), renumbered[group[keep]], shared[wanted]


def kappas(pairs: Pairs, group: Ints, shared: Ints, apart: Scale, n_labels: int) -> Kappas:
    """The kappa of each group of pairs; `group` (n,) and `shared` (g,) as `by_people` gives them."""
    n_groups = len(shared)
    left = np.bincount(pairs.left_label * n_groups + group, minlength=n_labels * n_groups).reshape(n_labels, -1)
    right = np.bincount(pairs.right_label * n_groups + group, minlength=n_labels * n_groups).reshape(n_labels, -1)
    far_right = apart.against(right / shared)
    far_left = apart.against(left / shared)
    apart_each = apart.lookup(pairs.left_label, pairs.right_label)
    seen = np.bincount(group, weights=apart_each, minlength=n_groups) / shared
    expected = np.einsum("kg,kg->g", left / shared, far_right)
    expected[expected < _NOTHING] = math.nan
    values = 1.0 - seen / expected
    habits = far_right[pairs.left_label, group] + far_left[pairs.right_label, group]
    rows = 1.0 - apart_each / expected[group] + (seen / expected**2)[group] * (habits - 2.0 * expected[group])
    # the same kappa without one item: from the sums, nothing is counted anew
    n = shared[group].astype(np.float64)
    rest = np.maximum(n - 1.0, 1.0)
    expected_rest = (n * n * expected[group] - n * habits + apart_each) / rest**2
    left_out = 1.0 - (n * seen[group] - apart_each) / rest / np.maximum(expected_rest, _NOTHING)
    left_out = np.where(expected_rest > _NOTHING, left_out, values[group])
    return Kappas(values, 1.0 - expected, rows, n * values[group] - (n - 1.0) * left_out)


def interval(found: Kappas, members: Ints, group: int, *, confidence: float) -> tuple[float, float]:
    """The bounds for one group, whose pairs of votes are the rows `members`."""
    linear = Linear(float(found.values[group]), float(found.chance[group]), found.rows[members], np.ones(len(members)))
    n, student = len(members), len(members) < _SMALL
    bounds = analytic("cohen", linear, n, n, confidence=confidence, lowest=-1.0, student=student)
    return bounds.low, bounds.high
