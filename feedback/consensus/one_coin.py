"""Methods with one figure per person: the one-coin Dawid-Skene model and a weighted vote."""

from __future__ import annotations

import numpy as np

from feedback.consensus.consensus import Consensus, require_votes
from feedback.consensus.majority_vote import majority_vote, vote_shares
from feedback.consensus.sparse_votes import (
    LabelVoteMatrix,
    error_rates_too_large,
    fix_gold_labels,
    log_prior,
    normalize_log_weights,
    row_max,
    row_sums,
)
from feedback.votes import Floats, Ints, Votes

_CLEAR_LEAD = 0.5  # lead of the first label over the second, in shares of the votes
_MAX_OVERRULED = 0.02  # share of tasks on which a plausible fit overrules a clear majority of three votes or more
_MIN_GAIN = 1e-6  # log-likelihood per vote that one more round must gain
_MIN_CHANGE = 1e-4  # mean change of the probabilities, below which the weighted vote stops
_PRIOR_VOTES = 15.0  # Li, Rubinstein and Cohn (2019): every person starts as if they had given 15 votes ...
_PRIOR_ACCURACY = 0.8  # ... of which four in five were right


def one_coin_dawid_skene(
    votes: Votes, *, prior: Floats | None = None, gold: Ints | None = None, max_rounds: int = 100
) -> Consensus:
    """Fit Dawid-Skene with one accuracy per person by expectation maximisation.

    A person gives the true label with probability s, and each of the k - 1 other labels with (1 - s) / (k - 1).

    - E step: the log-probability of label l of a task is log prior(l) plus, over the people who voted for l, the sum of
      log(s (k - 1) / (1 - s)).
    - M step: s is the expected share of a person's votes that are right, smoothed by one vote right and one wrong, and
      at least 1 / k, so that no vote counts against its own label.

    Where errors are not evenly spread over labels, the model may collapse onto one label. A fit that overrules clear
    majorities on more than 2 % of the tasks is therefore replaced by the majority vote; its method is then
    "one_coin (majority)". Parameters are those of `dawid_skene`.

    References
    ----------
    Zhang, Chen, Zhou and Jordan (2016), Spectral methods meet EM, Journal of Machine Learning Research 17(102).
    """
    matrix = LabelVoteMatrix.build(require_votes(votes))
    k = max(votes.n_labels, 2)
    n_votes = np.bincount(votes.people, minlength=votes.n_people)
    proba = fix_gold_labels(vote_shares(votes), gold)
    previous = -np.inf
    for _ in range(max_rounds):
        accuracy = np.clip((matrix.sum_by_person(proba) + 1.0) / (n_votes + 2.0), 1.0 / k, 1.0 - 1e-6)
        log_wrong = np.log((1.0 - accuracy) / (k - 1))
        log = matrix.weighted_counts(np.log(accuracy) - log_wrong)
        shares = np.einsum("ij->j", proba) + 1.0
        shares /= shares.sum()
        log += log_prior(shares if prior is None else prior)
        proba, likelihood = normalize_log_weights(log)
        proba = fix_gold_labels(proba, gold)
        likelihood += float(log_wrong @ n_votes)  # the constant that the rows above leave out
        if likelihood - previous < _MIN_GAIN * len(votes):
            break
        previous = likelihood
    errors = None if error_rates_too_large(votes) else _error_matrices(accuracy, votes.n_labels)
    return _majority_if_implausible(Consensus.build("one_coin", votes, proba, errors=errors, prior=shares), votes)


def weighted_vote(votes: Votes, *, gold: Ints | None = None, max_rounds: int = 100) -> Consensus:
    """Weigh people by how near their votes are to the weighted vote of all, until the probabilities stay the same.

    A normal model of one-hot labels: the weight of a person is the inverse of the mean squared distance of their votes
    from the probabilities of the tasks, smoothed by a prior. Weights stay moderate, so the method is reliable where
    errors do not fit an error matrix. A fit that overrules clear majorities is replaced as for `one_coin_dawid_skene`.

    References
    ----------
    Li, Rubinstein and Cohn (2019), Truth inference at scale, doi:10.1145/3308558.3313459.
    """
    matrix = LabelVoteMatrix.build(require_votes(votes))
    n_votes = np.bincount(votes.people, minlength=votes.n_people)
    proba = fix_gold_labels(vote_shares(votes), gold)
    prior_distance = _PRIOR_VOTES * _PRIOR_ACCURACY * (1.0 - _PRIOR_ACCURACY)
    for _ in range(max_rounds):
        # the squared distance of a one-hot vote from the task's row is 1 - 2 row[label] + |row|²
        distance = 1.0 + row_sums(proba**2)[:, None] - 2.0 * proba
        shares = np.einsum("ij->j", proba) / len(proba)
        weights = (_PRIOR_VOTES + n_votes) / (prior_distance + matrix.sum_by_person(distance))
        counts = matrix.weighted_counts(weights) + shares
        updated = fix_gold_labels(counts / row_sums(counts)[:, None], gold)
        change = float(np.abs(updated - proba).mean())
        proba = updated
        if change < _MIN_CHANGE:
            break
    return _majority_if_implausible(Consensus.build("weighted", votes, proba), votes)


def _majority_if_implausible(fit: Consensus, votes: Votes) -> Consensus:
    majority = majority_vote(votes)
    top = row_max(majority.proba)
    rest = majority.proba.copy()
    rest[np.arange(len(rest)), rest.argmax(axis=1)] = 0.0
    lead = top - row_max(rest)
    clear = (lead >= _CLEAR_LEAD) & (majority.support >= 3)
    overruled = (fit.labels != majority.labels) & clear
    if overruled.sum() <= _MAX_OVERRULED * (majority.support > 0).sum():
        return fit
    return Consensus.build(f"{fit.method} (majority)", votes, majority.proba)


def _error_matrices(accuracy: Floats, k: int) -> Floats:
    """Return error rates (n_people, k, k) for one accuracy per person."""
    wrong = (1.0 - accuracy) / max(k - 1, 1)
    return wrong[:, None, None] + np.eye(k) * (accuracy - wrong)[:, None, None]
