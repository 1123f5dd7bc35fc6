"""Dawid-Skene: how people err is learnt together with the labels; plain, hierarchical and one-coin."""

from __future__ import annotations

from typing import Any

import numpy as np

from feedback.consensus.consensus import Consensus, require_votes
from feedback.consensus.majority_vote import majority_if_implausible, vote_shares
from feedback.consensus.sparse_votes import (
    LabelSums,
    VoteMatrix,
    error_rates_too_large,
    fix_gold_labels,
    log_prior,
    normalize_log_weights,
    sum_tasks,
)
from feedback.votes import Floats, Ints, Votes

_MIN_COUNT = 1e-10  # keeps the error rates of a label that a person never met defined
_MIN_GAIN = 1e-6  # log-likelihood per vote that one more round of the one-coin model must gain
_POOLING = 2.0  # two pooled votes per true label, so that the third vote of a person already outweighs them


def dawid_skene(
    votes: Votes,
    *,
    pooling: float = 0.0,
    prior: Floats | None = None,
    gold: Ints | None = None,
    start: Floats | None = None,
    max_rounds: int = 100,
    tolerance: float = 1e-5,
) -> Consensus:
    r"""Fit the model of Dawid and Skene by expectation maximisation.

    Each task has one true label :math:`z_t`, drawn with probabilities :math:`p`. Person :math:`j` gives label :math:`l`
    to a task with true label :math:`k` with probability :math:`e^j_{kl}`, independently of all other votes.

    - E step: :math:`P(z_t = k) \propto p_k \prod_{votes (j, l) on t} e^j_{kl}`.
    - M step: :math:`e^j_{kl}` is the expected share of label :math:`l` among the votes of :math:`j` on tasks with true
      label :math:`k`; :math:`p_k` is the mean of :math:`P(z_t = k)`.

    The result has the error rates as `errors[person, true, given]` and the label shares as `prior`.

    Parameters
    ----------
    votes
        A vote that occurs twice counts twice.
    pooling
        Votes per true label of each person that are added in the M step, distributed like those of all people.
    prior
        Replaces the learnt label shares p, for example by the probabilities of a calibrated model; shape (k,) or
        (n_tasks, k).
    gold
        True labels (n_tasks,) where they are known, -1 elsewhere; they are fixed in the E step.
    start
        Probabilities (n_tasks, k) to start from, for example of an earlier fit; the shares of votes by default.
    tolerance
        Stop when a round gains less log-likelihood per vote than this.

    Raises
    ------
    VotesError
        If there are no votes, or so many people and labels that the error rates would not fit into memory.

    References
    ----------
    Dawid and Skene (1979), Maximum likelihood estimation of observer error-rates using the EM algorithm,
    doi:10.2307/2346806.

    Examples
    --------
    >>> dawid_skene(Votes([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2], [0, 0, 1, 1, 1, 0])).labels.tolist()
    [0, 1]
    """
    matrix = VoteMatrix.build(require_votes(votes))
    voted = np.bincount(votes.tasks, minlength=votes.n_tasks) > 0
    times, n_votes = votes.times * voted, votes.weights.sum()
    proba = fix_gold_labels(vote_shares(votes) if start is None else start.copy(), gold)
    previous = -np.inf
    for _ in range(max_rounds):
        shares = times @ proba + (1.0 if pooling else 0.0)  # pooled: a label without votes stays possible
        shares /= shares.sum()
        rates = error_rates(matrix.expected_counts(proba), pooling)
        log = matrix.log_likelihood(rates)
        log += log_prior(shares if prior is None else prior)
        log[~voted] = 0.0
        proba, totals = normalize_log_weights(log)
        proba[~voted] = 0.0
        proba = fix_gold_labels(proba, gold)
        likelihood = sum_tasks(totals, times)
        if likelihood - previous < tolerance * n_votes:
            break
        previous = likelihood
    method = "hierarchical" if pooling else "dawid_skene"
    return Consensus.build(method, votes, proba, errors=rates.transpose(0, 2, 1), prior=shares)


def hierarchical_dawid_skene(votes: Votes, **options: Any) -> Consensus:
    """Fit Dawid-Skene with error rates that are partly pooled over people; options as for `dawid_skene`.

    People with few votes get rates near the mean, people with many votes keep their own. More accurate than
    `dawid_skene` where people give few votes each. Partial pooling of annotators: Paun et al. (2018), Comparing
    Bayesian models of annotation, doi:10.1162/tacl_a_00040.
    """
    return dawid_skene(votes, pooling=_POOLING, **options)


def error_rates(counts: Floats, pooling: float) -> Floats:
    """Return error rates from expected counts, both (n_people, k given, k true); they sum to 1 over the given label."""
    if pooling:
        total = counts.sum(axis=0) + 1.0 / counts.shape[2]
        counts = counts + pooling * total / total.sum(axis=0)
    counts = np.maximum(counts, _MIN_COUNT)
    rates: Floats = counts / counts.sum(axis=1, keepdims=True)
    return rates


def one_coin_dawid_skene(votes: Votes, *, max_rounds: int = 100) -> Consensus:
    """Fit Dawid-Skene with one accuracy per person by expectation maximisation.

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
    votes = require_votes(votes).in_order()  # sums of the same numbers in another order differ by rounding
    k, sums, times, proba = max(votes.n_labels, 2), LabelSums(votes), votes.times, vote_shares(votes)
    n_votes = np.bincount(votes.people, votes.weights, minlength=votes.n_people)
    previous = -np.inf
    for _ in range(max_rounds):
        accuracy = np.clip((sums.by_person(proba) + 1.0) / (n_votes + 2.0), 1.0 / k, 1.0 - 1e-6)
        log_wrong = np.log((1.0 - accuracy) / (k - 1))
        log = sums.by_label(np.log(accuracy) - log_wrong)
        shares = times @ proba + 1.0
        shares /= shares.sum()
        log += log_prior(shares)
        proba, totals = normalize_log_weights(log)
        likelihood = sum_tasks(totals, times) + float(log_wrong @ n_votes)  # the rows leave this constant out
        if likelihood - previous < _MIN_GAIN * n_votes.sum():
            break
        previous = likelihood
    errors = None if error_rates_too_large(votes) else _error_matrices(accuracy, votes.n_labels)
    fit = Consensus.build("one_coin", votes, proba, errors=errors, prior=shares)
    return majority_if_implausible(fit, votes)


def _error_matrices(accuracy: Floats, k: int) -> Floats:
    """Return error rates (n_people, k, k) for one accuracy per person."""
    wrong = (1.0 - accuracy) / max(k - 1, 1)
    return wrong[:, None, None] + np.eye(k) * (accuracy - wrong)[:, None, None]
