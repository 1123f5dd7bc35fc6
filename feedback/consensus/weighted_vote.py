"""Weighted vote: people near to the weighted vote of all have larger weights."""

from __future__ import annotations

import numpy as np

from feedback.consensus.consensus import Consensus, require_votes
from feedback.consensus.majority_vote import majority_if_implausible, vote_shares
from feedback.consensus.sparse_votes import LabelVoteMatrix, fix_gold_labels, row_sums, task_times
from feedback.votes import Floats, Ints, Votes

_MIN_CHANGE = 1e-4  # mean change of the probabilities, below which the rounds stop
_PRIOR_VOTES = 15.0  # Li, Rubinstein and Cohn (2019): every person starts as if they had given 15 votes ...
_PRIOR_ACCURACY = 0.8  # ... of which four in five were right


def weighted_vote(
    votes: Votes, *, times: Floats | None = None, gold: Ints | None = None, max_rounds: int = 100
) -> Consensus:
    """Weigh people by how near their votes are to the weighted vote of all, until the probabilities stay the same.

    A normal model of one-hot labels: the weight of a person is the inverse of the mean squared distance of their votes
    from the probabilities of the tasks, smoothed by a prior. Weights stay moderate, so the method is reliable where
    errors do not fit an error matrix. A fit that overrules clear majorities is replaced as for `one_coin_dawid_skene`.

    Li, Rubinstein and Cohn (2019), Truth inference at scale (the model BWA), arXiv:1902.08918.
    """
    matrix = LabelVoteMatrix.build(require_votes(votes))
    times = task_times(votes, times)
    n_votes = np.bincount(votes.people, times[votes.tasks], minlength=votes.n_people)
    proba = fix_gold_labels(vote_shares(votes), gold)
    prior_distance = _PRIOR_VOTES * _PRIOR_ACCURACY * (1.0 - _PRIOR_ACCURACY)
    for _ in range(max_rounds):
        # the squared distance of a one-hot vote from the task's row is 1 - 2 row[label] + |row|²
        distance = 1.0 + row_sums(proba**2)[:, None] - 2.0 * proba
        shares = times @ proba / times.sum()
        weights = (_PRIOR_VOTES + n_votes) / (prior_distance + matrix.sum_by_person(distance * times[:, None]))
        counts = matrix.weighted_counts(weights) + shares
        updated = fix_gold_labels(counts / row_sums(counts)[:, None], gold)
        change = float(times @ np.abs(updated - proba).mean(axis=1) / times.sum())
        proba = updated
        if change < _MIN_CHANGE:
            break
    return majority_if_implausible(Consensus.build("weighted", votes, proba, times=times), votes, times)
