"""modAL's measures on probabilities that are already there; the one home of modAL.

modAL scores what an estimator predicts. Ours has predicted before, so modAL is handed a stand-in that holds the
probabilities and the row numbers as data. Only its query functions are called, with every row asked for: `teach`
fails on scikit-learn >= 1.8, the choice among ties is arbitrary, and the random tie-break returns the worst row first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from modAL.disagreement import consensus_entropy_sampling, max_disagreement_sampling
from modAL.uncertainty import entropy_sampling, margin_sampling, uncertainty_sampling

from sampling.errors import MissingInput
from sampling.plan import Plan
from sampling.pool import Floats, Ints, Pool


def margin(pool: Pool, plan: Plan) -> Floats:  # noqa: ARG001 the contract of a strategy
    """Score each task by how close its two best classes are.

    (n,) in [0, 1]; 1 is a tie. Scheffer et al. (2001). One class only: all 1, nothing to tell apart.

    >>> unsure, sure = [0.5, 0.5], [0.9, 0.1]
    >>> margin(Pool((7, 8), np.array([unsure, sure]), np.zeros(2)), Plan(2)).round(2)
    array([1. , 0.2])
    """
    return 1.0 - _measured(margin_sampling, _Held(pool.proba), len(pool))


def uncertainty(pool: Pool, plan: Plan) -> Floats:  # noqa: ARG001
    """Score each task by the chance that its best class is wrong.

    (n,) in [0, 1 - 1/k]. Lewis and Gale (1994). Worse than random order with many classes; margin is the default.

    >>> uncertainty(Pool((7, 8), np.array([[0.5, 0.5], [0.9, 0.1]]), np.zeros(2)), Plan(2)).round(2)
    array([0.5, 0.1])
    """
    return _measured(uncertainty_sampling, _Held(pool.proba), len(pool))


def entropy(pool: Pool, plan: Plan) -> Floats:  # noqa: ARG001
    """Score each task by the entropy of its classes.

    (n,) in [0, ln k], in nats. Shannon (1948).

    >>> entropy(Pool((7, 8), np.array([[0.5, 0.5], [1.0, 0.0]]), np.zeros(2)), Plan(2)).round(2)
    array([0.69, 0.  ])
    """
    return _measured(entropy_sampling, _Held(pool.proba), len(pool))


def consensus_entropy(pool: Pool, plan: Plan) -> Floats:  # noqa: ARG001
    """Score each task by the entropy of a committee's mean opinion.

    (n,) in [0, ln k], in nats. McCallum and Nigam (1998). Needs `Pool.committee`.
    """
    return _measured(consensus_entropy_sampling, _committee(pool), len(pool))


def max_disagreement(pool: Pool, plan: Plan) -> Floats:  # noqa: ARG001
    """Score each task by how far one member of a committee stands from the mean opinion.

    (n,) in [0, ln m], the largest Kullback-Leibler divergence in nats. McCallum and Nigam (1998).
    Needs `Pool.committee`.
    """
    return _measured(max_disagreement_sampling, _committee(pool), len(pool))


@dataclass(frozen=True, slots=True)
class _Held:
    """A duck-typed estimator that has predicted before; its data are row numbers."""

    proba: Floats  # (n, k)

    def predict_proba(self, rows: Ints) -> Floats:
        return self.proba[rows]


@dataclass(frozen=True, slots=True)
class _HeldCommittee:
    """A duck-typed committee whose members have predicted before."""

    members: Floats  # (m, n, k)

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Floats]:
        return iter(self.members)

    def predict_proba(self, rows: Ints) -> Floats:
        mean: Floats = self.members[:, rows].mean(axis=0)
        return mean

    def vote_proba(self, rows: Ints) -> Floats:
        return self.members[:, rows].transpose(1, 0, 2)


def _committee(pool: Pool) -> _HeldCommittee:
    if pool.committee is None:
        raise MissingInput("this strategy asks a committee; the pool has none: pass Pool(committee=(m, n, k)).")
    return _HeldCommittee(pool.committee)


def _measured(query: Callable[..., tuple[Ints, Floats]], estimator: Any, n: int) -> Floats:
    """Ask modAL for all n rows and put its measure back in the order of the pool."""
    chosen, values = query(estimator, np.arange(n), n_instances=n)
    scores = np.empty(n)
    scores[chosen] = values
    return scores
