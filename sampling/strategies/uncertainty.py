"""Uncertainty and disagreement measures: modAL's functions on probabilities that are known already.

The one place that imports modAL. It gets a stand-in estimator that holds the predictions, with row numbers as data.
Only its query functions are called, for all rows: `teach` fails on scikit-learn >= 1.8, its choice among ties is
arbitrary, and its random tie-break returns the worst row first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from modAL.disagreement import consensus_entropy_sampling, max_disagreement_sampling
from modAL.uncertainty import entropy_sampling, margin_sampling, uncertainty_sampling

from sampling.errors import MissingInput
from sampling.pool import Floats, Ints, Plan, Pool


def margin(pool: Pool, plan: Plan) -> Floats:  # noqa: ARG001 - the signature of a strategy
    """Score each task by how close its two best classes are: one minus the margin.

    (n,) in [0, 1]; 1 is a tie, also where there is one class only. Scheffer, Decomain and Wrobel (2001), Active hidden
    Markov models for information extraction, doi:10.1007/3-540-44816-0_31.

    >>> proba = np.array([[0.5, 0.5], [0.9, 0.1]])
    >>> margin(Pool((7, 8), proba, np.zeros(2)), Plan(2)).round(2)
    array([1. , 0.2])
    """
    return 1.0 - _score_rows(margin_sampling, _FixedEstimator(pool.proba), len(pool))


def uncertainty(pool: Pool, plan: Plan) -> Floats:  # noqa: ARG001
    """Score each task by the probability that its best class is wrong (least confidence).

    (n,) in [0, 1 - 1/k]. With many classes this was worse than random order; `margin` is the default. Lewis and Gale
    (1994), A sequential algorithm for training text classifiers, doi:10.1007/978-1-4471-2099-5_1.

    >>> proba = np.array([[0.5, 0.5], [0.9, 0.1]])
    >>> uncertainty(Pool((7, 8), proba, np.zeros(2)), Plan(2)).round(2)
    array([0.5, 0.1])
    """
    return _score_rows(uncertainty_sampling, _FixedEstimator(pool.proba), len(pool))


def entropy(pool: Pool, plan: Plan) -> Floats:  # noqa: ARG001
    """Score each task by the entropy of its class probabilities.

    (n,) in [0, ln k], in nats. Shannon (1948), A mathematical theory of communication,
    doi:10.1002/j.1538-7305.1948.tb01338.x.

    >>> proba = np.array([[0.5, 0.5], [1.0, 0.0]])
    >>> entropy(Pool((7, 8), proba, np.zeros(2)), Plan(2)).round(2)
    array([0.69, 0.  ])
    """
    return _score_rows(entropy_sampling, _FixedEstimator(pool.proba), len(pool))


def consensus_entropy(pool: Pool, plan: Plan) -> Floats:  # noqa: ARG001
    """Score each task by the entropy of a committee's mean probabilities; MissingInput where the pool has no committee.

    (n,) in [0, ln k], in nats. Settles (2012), Active Learning, calls it soft vote entropy.

    >>> committee = np.array([[[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])  # agree on task 7, not on 8
    >>> consensus_entropy(Pool((7, 8), committee.mean(axis=0), np.zeros(2), committee=committee), Plan(2)).round(2)
    array([0.  , 0.69])
    """
    return _score_rows(consensus_entropy_sampling, _committee(pool), len(pool))


def max_disagreement(pool: Pool, plan: Plan) -> Floats:  # noqa: ARG001
    """Score each task by the committee member that differs most from the committee's mean.

    (n,) in [0, ln m]: the largest Kullback-Leibler divergence from the mean, in nats. McCallum and Nigam (1998),
    Employing EM and pool-based active learning for text classification, ICML, take the mean divergence instead.
    MissingInput where the pool has no committee.

    >>> committee = np.array([[[0.5, 0.5], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]])  # both unsure; both sure
    >>> max_disagreement(Pool((7, 8), committee.mean(axis=0), np.zeros(2), committee=committee), Plan(2)).round(2)
    array([0.  , 0.69])
    """
    return _score_rows(max_disagreement_sampling, _committee(pool), len(pool))


@dataclass(frozen=True, slots=True)
class _FixedEstimator:
    """An estimator for modAL whose predictions are known; its data are row numbers."""

    proba: Floats  # (n, k)

    def predict_proba(self, rows: Ints) -> Floats:
        return self.proba[rows]


@dataclass(frozen=True, slots=True)
class _FixedCommittee:
    """A committee for modAL whose members' predictions are known."""

    members: Floats  # (m, n, k)

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Floats]:
        return iter(self.members)

    def predict_proba(self, rows: Ints) -> Floats:
        return cast(Floats, self.members[:, rows].mean(axis=0))

    def vote_proba(self, rows: Ints) -> Floats:
        return self.members[:, rows].transpose(1, 0, 2)


def _committee(pool: Pool) -> _FixedCommittee:
    if pool.committee is None:
        raise MissingInput("this strategy needs a committee, and the pool has none: pass Pool(committee=(m, n, k)).")
    return _FixedCommittee(pool.committee)


def _score_rows(query: Callable[..., tuple[Ints, Floats]], estimator: Any, n: int) -> Floats:
    """Call a query function of modAL for all n rows, and return its scores in the order of the pool."""
    chosen, values = query(estimator, np.arange(n), n_instances=n)
    scores = np.empty(n)
    scores[chosen] = values
    return scores
