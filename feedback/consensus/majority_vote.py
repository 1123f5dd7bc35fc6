"""Majority vote and weighted vote, and the shares of votes that other methods start from."""

from __future__ import annotations

import numpy as np

from feedback.consensus.consensus import Consensus, require_votes
from feedback.consensus.sparse_votes import LabelSums, row_max, row_sums, sum_tasks
from feedback.votes import Floats, Votes

_MIN_CHANGE = 1e-4  # mean change of the probabilities, below which the rounds stop
_PRIOR_VOTES = 15.0  # Li, Rubinstein and Cohn (2019): every person starts as if they had given 15 votes ...
_PRIOR_ACCURACY = 0.8  # ... of which four in five were right
_TIE_WEIGHT = 1e-9  # times the votes of one task: far below what one vote adds to a share
_CLEAR_LEAD = 0.5  # lead of the first label over the second, in shares of the votes
_MAX_OVERRULED = 0.02  # share of tasks on which a plausible fit overrules a clear majority of three votes or more


def majority_vote(votes: Votes) -> Consensus:
    """Take the label with most votes; its probability is its share of the votes. VotesError where there are none.

    A tie goes to the label of the people who agree more with others on other tasks, then to the first label. (The more
    common label would be a bad tie-break, because careless people vote for it.)

    >>> consensus = majority_vote(Votes([0, 0, 0, 1, 1], [0, 1, 2, 1, 2], [1, 1, 0, 1, 0]))
    >>> consensus.labels, consensus.proba.round(2)[0]
    (array([1, 1]), array([0.33, 0.67]))
    """
    shares = vote_shares(require_votes(votes))
    tie_break = LabelSums(votes).by_label(peer_agreement(votes, shares))
    return Consensus.build("majority", votes, shares, scores=shares + _TIE_WEIGHT * tie_break)


def weighted_vote(votes: Votes, *, max_rounds: int = 100) -> Consensus:
    """Weigh people by how near their votes are to the weighted vote of all, until the probabilities stay the same.

    A normal model of one-hot labels: the weight of a person is the inverse of the mean squared distance of their votes
    from the probabilities of the tasks, smoothed by a prior. Weights stay moderate, so the method is reliable where
    errors do not fit an error matrix. A fit that overrules clear majorities is replaced as for `one_coin_dawid_skene`.

    Li, Rubinstein and Cohn (2019), Truth inference at scale (the model BWA), arXiv:1902.08918.
    """
    votes = require_votes(votes).in_order()  # sums of the same numbers in another order differ by rounding
    sums, times, proba = LabelSums(votes), votes.times, vote_shares(votes)
    n_votes = np.bincount(votes.people, votes.weights, minlength=votes.n_people)
    prior_distance = _PRIOR_VOTES * _PRIOR_ACCURACY * (1.0 - _PRIOR_ACCURACY)
    for _ in range(max_rounds):
        # the squared distance of a one-hot vote from the task's row is 1 - 2 row[label] + |row|²
        distance = 1.0 + row_sums(proba**2)[:, None] - 2.0 * proba
        shares = times @ proba / times.sum()
        weights = (_PRIOR_VOTES + n_votes) / (prior_distance + sums.by_person(distance))
        counts = sums.by_label(weights) + shares
        updated = counts / row_sums(counts)[:, None]
        change = sum_tasks(row_sums(np.abs(updated - proba)), times) / (times.sum() * votes.n_labels)
        proba = updated
        if change < _MIN_CHANGE:
            break
    return majority_if_implausible(Consensus.build("weighted", votes, proba), votes)


def majority_if_implausible(fit: Consensus, votes: Votes) -> Consensus:
    """Return the fit, or the majority vote where the fit overrules clear majorities on more than 2 % of the tasks."""
    majority, times = majority_vote(votes), votes.times
    top = row_max(majority.proba)
    rest = majority.proba.copy()
    rest[np.arange(len(rest)), rest.argmax(axis=1)] = 0.0
    lead = top - row_max(rest)
    clear = (lead >= _CLEAR_LEAD) & (majority.support >= 3)
    overruled = (fit.labels != majority.labels) & clear
    if times[overruled].sum() <= _MAX_OVERRULED * times[majority.support > 0].sum():
        return fit
    return Consensus.build(f"{fit.method} (majority)", votes, majority.proba)


def peer_agreement(votes: Votes, shares: Floats) -> Floats:
    """Return how often the other people on a task gave the same label, (n_people,); 0.5 without other people."""
    n_votes = np.bincount(votes.tasks, minlength=votes.n_tasks)[votes.tasks]
    others = np.maximum(n_votes - 1.0, 1.0)
    same = (shares[votes.tasks, votes.labels] * n_votes - 1.0) / others
    weights = (n_votes > 1) * votes.weights
    compared = np.bincount(votes.people, weights=weights, minlength=votes.n_people)
    agreed = np.bincount(votes.people, weights=same * weights, minlength=votes.n_people)
    rates: Floats = np.where(compared > 0, agreed / np.maximum(compared, 1.0), 0.5)
    return rates


def vote_shares(votes: Votes) -> Floats:
    """Return the share of votes for each label, (n_tasks, k); rows of tasks without votes are 0."""
    table = LabelSums(votes).by_label()
    shares: Floats = table / np.maximum(row_sums(table)[:, None], 1.0)
    return shares
