"""Agreement by label and by group of tasks, confused labels, and the tasks with most disagreement."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from feedback.agreement.chance_corrected import fleiss_kappa
from feedback.agreement.coefficient import Coefficient
from feedback.agreement.vote_patterns import count_patterns
from feedback.votes import Floats, Ints, Votes

Measure = Callable[[Votes], Coefficient]


def per_label_agreement(votes: Votes, *, measure: Measure = fleiss_kappa) -> tuple[Coefficient, ...]:
    """Compute the agreement on each label against all other labels, one coefficient per label.

    With `fleiss_kappa` these are the kappas per category of Fleiss (1971), doi:10.1037/h0031619.

    >>> votes = Votes([0, 0, 1, 1, 2, 2], [0, 1] * 3, [0, 0, 1, 2, 2, 1])
    >>> [round(kappa.value, 2) for kappa in per_label_agreement(votes)]
    [1.0, -0.5, -0.5]
    """
    return tuple(
        measure(
            Votes(votes.tasks, votes.people, (votes.labels == label).astype(np.int64), votes.n_tasks, votes.n_people, 2)
        )
        for label in range(votes.n_labels)
    )


def per_group_agreement(votes: Votes, groups: Ints, *, measure: Measure = fleiss_kappa) -> Mapping[int, Coefficient]:
    """Compute the agreement within each group of tasks, for example a segment, a month or a guideline version.

    `groups` (n_tasks,) holds the group of each task; tasks with -1 are left out.

    >>> from feedback.agreement.chance_corrected import percent_agreement
    >>> votes = Votes([0, 0, 1, 1], [0, 1] * 2, [0, 0, 0, 1])
    >>> found = per_group_agreement(votes, np.array([7, 8]), measure=percent_agreement)
    >>> {group: agreement.value for group, agreement in found.items()}
    {7: 1.0, 8: 0.0}
    """
    group_of_vote = np.asarray(groups)[votes.tasks]
    return {
        int(group): measure(votes.select(group_of_vote == group)) for group in np.unique(group_of_vote) if group >= 0
    }


def label_confusions(votes: Votes) -> Floats:
    """Return the share of all disagreement between each pair of labels, (k, k); the upper half sums to 1.

    >>> label_confusions(Votes([0, 0, 1, 1, 2, 2], [0, 1] * 3, [0, 0, 1, 2, 2, 0])).tolist()
    [[0.0, 0.0, 0.5], [0.0, 0.0, 0.5], [0.5, 0.5, 0.0]]
    """
    table = count_patterns(votes).paired()
    weighted = table.counts.multiply((table.times / (table.size - 1.0))[:, None])
    together = (table.counts.T @ weighted).toarray()
    np.fill_diagonal(together, 0.0)
    shares: Floats = together / max(together.sum() / 2.0, 1e-300)
    return shares


def most_disputed(votes: Votes, *, max_tasks: int = 10) -> Ints:
    """Return the tasks with most disagreement, worst first; of equal ones those with more votes, then lower codes."""
    size = np.bincount(votes.tasks, minlength=votes.n_tasks).astype(np.float64)
    _, cell, count = np.unique(votes.tasks * votes.n_labels + votes.labels, return_index=True, return_counts=True)
    equal_pairs = np.bincount(votes.tasks[cell], weights=count.astype(np.float64) ** 2, minlength=votes.n_tasks) - size
    disagreement = np.where(size > 1, 1.0 - equal_pairs / np.maximum(size * (size - 1.0), 1.0), 0.0)
    order = np.lexsort((-size, -disagreement))[:max_tasks]
    worst: Ints = order[disagreement[order] > 0]
    return worst
