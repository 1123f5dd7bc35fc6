"""Dawid-Skene: one error matrix per person, learnt together with the labels; plain and hierarchical."""

from __future__ import annotations

import numpy as np

from feedback.consensus.consensus import Consensus, require_votes
from feedback.consensus.majority_vote import vote_shares
from feedback.consensus.sparse_votes import VoteMatrix, fix_gold_labels, log_prior, normalize_log_weights, task_times
from feedback.votes import Floats, Ints, Votes

_MIN_COUNT = 1e-10  # keeps the error rates of a label that a person never met defined
_POOLING = 2.0  # two pooled votes per true label, so that the third vote of a person already outweighs them


def dawid_skene(
    votes: Votes,
    *,
    times: Floats | None = None,
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
    times
        How many tasks with these votes each task stands for, (n_tasks,); 1 by default.
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
    return _fit("dawid_skene", votes, 0.0, task_times(votes, times), prior, gold, start, max_rounds, tolerance)


def hierarchical_dawid_skene(
    votes: Votes,
    *,
    pooling: float = _POOLING,
    times: Floats | None = None,
    prior: Floats | None = None,
    gold: Ints | None = None,
    start: Floats | None = None,
    max_rounds: int = 100,
    tolerance: float = 1e-5,
) -> Consensus:
    """Fit Dawid-Skene with error rates that are partly pooled over people; other options as for `dawid_skene`.

    In the M step, the mean error rates of all people count as `pooling` additional votes per true label of each person.
    People with few votes get rates near the mean, people with many votes keep their own. More accurate than
    `dawid_skene` where people give few votes each. Partial pooling of annotators: Paun et al. (2018), Comparing
    Bayesian models of annotation, doi:10.1162/tacl_a_00040.
    """
    return _fit("hierarchical", votes, pooling, task_times(votes, times), prior, gold, start, max_rounds, tolerance)


def error_rates(counts: Floats, pooling: float) -> Floats:
    """Return error rates from expected counts, both (n_people, k given, k true); they sum to 1 over the given label."""
    if pooling:
        total = counts.sum(axis=0) + 1.0 / counts.shape[2]
        counts = counts + pooling * total / total.sum(axis=0)
    counts = np.maximum(counts, _MIN_COUNT)
    rates: Floats = counts / counts.sum(axis=1, keepdims=True)
    return rates


def _fit(
    method: str,
    votes: Votes,
    pooling: float,
    times: Floats,
    prior: Floats | None,
    gold: Ints | None,
    start: Floats | None,
    max_rounds: int,
    tolerance: float,
) -> Consensus:
    matrix = VoteMatrix.build(require_votes(votes))
    voted = np.bincount(votes.tasks, minlength=votes.n_tasks) > 0
    times_voted = times * voted
    n_votes = times[votes.tasks].sum()
    proba = fix_gold_labels(vote_shares(votes) if start is None else start.copy(), gold)
    previous = -np.inf
    for _ in range(max_rounds):
        shares = times_voted @ proba + (1.0 if pooling else 0.0)  # pooled: a label without votes stays possible
        shares /= shares.sum()
        rates = error_rates(matrix.expected_counts(proba * times[:, None]), pooling)
        log = matrix.log_likelihood(rates)
        log += log_prior(shares if prior is None else prior)
        log[~voted] = 0.0
        proba, totals = normalize_log_weights(log)
        proba[~voted] = 0.0
        proba = fix_gold_labels(proba, gold)
        likelihood = float(times_voted @ totals)
        if likelihood - previous < tolerance * n_votes:
            break
        previous = likelihood
    return Consensus.build(method, votes, proba, errors=rates.transpose(0, 2, 1), prior=shares, times=times)
