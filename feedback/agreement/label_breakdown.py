"""Agreement by label, by segment and over time: where people differ, not only how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from feedback.agreement.chance_corrected import fleiss_kappa
from feedback.agreement.coefficient import Coefficient
from feedback.agreement.vote_patterns import count_patterns
from feedback.votes import Floats, Ints, Votes

Measure = Callable[[Votes], Coefficient]


def per_label_agreement(votes: Votes, *, measure: Measure = fleiss_kappa) -> tuple[Coefficient, ...]:
    """How well people tell each label from all others, one figure per label. With `fleiss_kappa` it is Fleiss (1971).

    >>> votes = Votes([0, 0, 1, 1, 2, 2], [0, 1] * 3, [0, 0, 1, 2, 2, 1])
    >>> [round(coefficient.value, 2) for coefficient in per_label_agreement(votes)]
    [1.0, -0.5, -0.5]
    """
    return tuple(
        measure(
            Votes(votes.tasks, votes.people, (votes.labels == label).astype(np.int64), votes.n_tasks, votes.n_people, 2)
        )
        for label in range(votes.n_labels)
    )


def per_group_agreement(votes: Votes, groups: Ints, *, measure: Measure = fleiss_kappa) -> Mapping[int, Coefficient]:
    """The figure within each group of tasks: segments, months, guideline versions. `groups` (n_tasks,), -1 is none.

    >>> votes = Votes([0, 0, 1, 1], [0, 1] * 2, [0, 0, 0, 1])
    >>> from feedback.agreement.chance_corrected import percent_agreement
    >>> {group: coefficient.value for group, coefficient in per_group_agreement(votes, np.array([7, 8]), measure=percent_agreement).items()}
    {7: 1.0, 8: 0.0}
    """
    group = np.asarray(groups)[votes.tasks]
    return {int(one): measure(votes.select(group == one)) for one in np.unique(group) if one >= 0}


def label_confusions(votes: Votes) -> Floats:
    """The share of all disagreement that lies between two labels, (k, k); symmetric, the upper half sums to 1.

    >>> label_confusions(Votes([0, 0, 1, 1, 2, 2], [0, 1] * 3, [0, 0, 1, 2, 2, 0])).tolist()
    [[0.0, 0.0, 0.5], [0.0, 0.0, 0.5], [0.5, 0.5, 0.0]]
    """
    table = count_patterns(votes).paired()
    weighted = table.counts.multiply((table.times / (table.size - 1.0))[:, None])
    met = (table.counts.T @ weighted).toarray()
    np.fill_diagonal(met, 0.0)
    shares: Floats = met / max(met.sum() / 2.0, 1e-300)
    return shares


def most_disputed(votes: Votes, *, most: int = 10) -> Ints:
    """The tasks on which people differ most, worst first; of equals those with more votes, then the lower code."""
    size = np.bincount(votes.tasks, minlength=votes.n_tasks).astype(np.float64)
    _, cell, count = np.unique(votes.tasks * votes.n_labels + votes.labels, return_index=True, return_counts=True)
    same = np.bincount(votes.tasks[cell], weights=count.astype(np.float64) ** 2, minlength=votes.n_tasks) - size
    distance = np.where(size > 1, 1.0 - same / np.maximum(size * (size - 1.0), 1.0), 0.0)
    order = np.lexsort((-size, -distance))[:most]
    worst: Ints = order[distance[order] > 0]
    return worst
