"""Dawid and Skene: each person confuses labels in their own way, and all of it is learnt at once."""

from __future__ import annotations

import numpy as np

from feedback.consensus.majority_vote import vote_shares
from feedback.consensus.result import Consensus, checked, settle
from feedback.consensus.sparse_votes import Incidence, fixed, log_prior, normalised
from feedback.votes import Floats, Ints, Votes

_UNSEEN = 1e-10  # keeps the error rate of a label that a person never met defined
_POOLING = 2.0  # pooled votes per true label: two, so that a person's third own vote already outweighs the crowd


def dawid_skene(
    votes: Votes,
    *,
    prior: Floats | None = None,
    known: Ints | None = None,
    start: Floats | None = None,
    max_rounds: int = 100,
    tolerance: float = 1e-5,
) -> Consensus:
    """Consensus by expectation maximisation over one error matrix per person. Dawid and Skene (1979).

    `prior` (k,) or (n_tasks, k) replaces the learnt class shares, e.g. by a calibrated model's probabilities; `known`
    (n_tasks,) fixes labels, -1 elsewhere; `start` (n_tasks, k) resumes from an earlier fit. Stops when a round gains
    less than `tolerance` log likelihood per vote. `errors[person, true, said]` are the learnt rates.

    >>> said = dawid_skene(Votes([0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2], [0, 0, 1, 1, 1, 0]))
    >>> said.labels.tolist()
    [0, 1]
    """
    return _fit("dawid_skene", votes, 0.0, prior, known, start, max_rounds, tolerance)


def hierarchical(
    votes: Votes,
    *,
    pooling: float = _POOLING,
    prior: Floats | None = None,
    known: Ints | None = None,
    start: Floats | None = None,
    max_rounds: int = 100,
    tolerance: float = 1e-5,
) -> Consensus:
    """Dawid-Skene whose people are partly pooled: few votes lean on how everybody errs, many speak for themselves.

    `pooling` is how many votes per true label the crowd's error rates count for. Better than plain where people give
    few votes each.
    """
    return _fit("hierarchical", votes, pooling, prior, known, start, max_rounds, tolerance)


def error_rates(counts: Floats, pooling: float) -> Floats:
    """Error rates (n_people, k said, k true) from expected counts of the same shape; columns sum to 1 over said."""
    if pooling:
        crowd = counts.sum(axis=0) + 1.0 / counts.shape[2]
        counts = counts + pooling * crowd / crowd.sum(axis=0)
    counts = np.maximum(counts, _UNSEEN)
    rates: Floats = counts / counts.sum(axis=1, keepdims=True)
    return rates


def _fit(
    method: str,
    votes: Votes,
    pooling: float,
    prior: Floats | None,
    known: Ints | None,
    start: Floats | None,
    max_rounds: int,
    tolerance: float,
) -> Consensus:
    incidence = Incidence.of(checked(votes))
    voted = np.bincount(votes.tasks, minlength=votes.n_tasks) > 0
    proba = fixed(vote_shares(votes) if start is None else start.copy(), known)
    before = -np.inf
    for _ in range(max_rounds):
        shares = proba[voted].sum(axis=0) + (1.0 if pooling else 0.0)  # an unused label stays possible when pooled
        shares /= shares.sum()
        rates = error_rates(incidence.counts(proba), pooling)
        log = incidence.log_odds(rates)
        log += log_prior(shares if prior is None else prior)
        log[~voted] = 0.0
        proba, likelihood = normalised(log)
        proba[~voted] = 0.0
        proba = fixed(proba, known)
        if likelihood - before < tolerance * len(votes):
            break
        before = likelihood
    likelihood -= (~voted).sum() * np.log(votes.n_labels)
    return settle(method, votes, proba, errors=rates.transpose(0, 2, 1), prior=shares, log_likelihood=float(likelihood))
