"""One-coin Dawid-Skene: one accuracy per person, learnt together with the labels."""

from __future__ import annotations

import numpy as np

from feedback.consensus.consensus import Consensus, require_votes
from feedback.consensus.majority_vote import majority_if_implausible, vote_shares
from feedback.consensus.sparse_votes import (
    LabelVoteMatrix,
    error_rates_too_large,
    fix_gold_labels,
    log_prior,
    normalize_log_weights,
    task_times,
)
from feedback.votes import Floats, Ints, Votes

_MIN_GAIN = 1e-6  # log-likelihood per vote that one more round must gain


def one_coin_dawid_skene(
    votes: Votes,
    *,
    times: Floats | None = None,
    prior: Floats | None = None,
    gold: Ints | None = None,
    max_rounds: int = 100,
) -> Consensus:
    """Fit Dawid-Skene with one accuracy per person by expectation maximisation; options as for `dawid_skene`.

    A person gives the true label with probability s, and each of the k - 1 other labels with (1 - s) / (k - 1).

    - E step: the log-probability of label l of a task is log prior(l) plus, over the people who voted for l, the sum of
      log(s (k - 1) / (1 - s)).
    - M step: s is the expected share of a person's votes that are right, smoothed by one vote right and one wrong, and
      at least 1 / k, so that no vote counts against its own label.

    Where errors are not evenly spread over labels, the model may collapse onto one label. A fit that overrules clear
    majorities on more than 2 % of the tasks is therefore replaced by the majority vote; its method is then "one_coin
    (majority)".

    Zhang, Chen, Zhou and Jordan (2016), Spectral methods meet EM, Journal of Machine Learning Research 17(102).
    """
    matrix = LabelVoteMatrix.build(require_votes(votes))
    k, times = max(votes.n_labels, 2), task_times(votes, times)
    n_votes = np.bincount(votes.people, times[votes.tasks], minlength=votes.n_people)
    proba = fix_gold_labels(vote_shares(votes), gold)
    previous = -np.inf
    for _ in range(max_rounds):
        accuracy = np.clip((matrix.sum_by_person(proba * times[:, None]) + 1.0) / (n_votes + 2.0), 1.0 / k, 1.0 - 1e-6)
        log_wrong = np.log((1.0 - accuracy) / (k - 1))
        log = matrix.weighted_counts(np.log(accuracy) - log_wrong)
        shares = times @ proba + 1.0
        shares /= shares.sum()
        log += log_prior(shares if prior is None else prior)
        proba, totals = normalize_log_weights(log)
        proba = fix_gold_labels(proba, gold)
        likelihood = float(times @ totals + log_wrong @ n_votes)  # the second is the constant that the rows leave out
        if likelihood - previous < _MIN_GAIN * n_votes.sum():
            break
        previous = likelihood
    errors = None if error_rates_too_large(votes) else _error_matrices(accuracy, votes.n_labels)
    fit = Consensus.build("one_coin", votes, proba, errors=errors, prior=shares, times=times)
    return majority_if_implausible(fit, votes, times)


def _error_matrices(accuracy: Floats, k: int) -> Floats:
    """Return error rates (n_people, k, k) for one accuracy per person."""
    wrong = (1.0 - accuracy) / max(k - 1, 1)
    return wrong[:, None, None] + np.eye(k) * (accuracy - wrong)[:, None, None]
