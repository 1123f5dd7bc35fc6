"""Our strategies where modAL asks for one: `ActiveLearner(estimator, query_strategy=query_strategy("mkm"))`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from sampling.errors import PlanError
from sampling.plan import Plan
from sampling.pool import Floats, Ints, Pool
from sampling.strategies import Strategy, load

Query: TypeAlias = Callable[..., tuple[Ints, Floats]]


def query_strategy(strategy: str | Strategy, *, seed: int = 0) -> Query:
    """Give a strategy modAL's signature: `(classifier, X, n_instances=1) -> (rows, scores)`, the best row first.

    The rows of X serve as vectors, the learner's X_training as what is known. Always a pair: modAL takes two bare
    indices for an index and a metric. An estimator that is not fitted raises its own error, instead of modAL's
    silent tail of the pool.

    >>> class Sure:
    ...     def predict_proba(self, X):
    ...         return np.column_stack([X[:, 0], 1 - X[:, 0]])
    >>> rows, scores = query_strategy("margin")(Sure(), np.array([[0.9], [0.5], [0.6]]), n_instances=2)
    >>> rows.tolist(), scores.round(2).tolist()
    ([1, 2], [1.0, 0.8])
    """
    ask = load(strategy) if isinstance(strategy, str) else strategy

    def query(classifier: Any, X: Any, n_instances: int = 1) -> tuple[Ints, Floats]:
        n = X.shape[0]
        if not 1 <= n_instances <= n:
            raise PlanError(f"n_instances is {n_instances}, wanted 1 to {n}: the rows of the pool.")
        known = getattr(classifier, "X_training", None)
        pool = Pool(tuple(range(n)), classifier.predict_proba(X), np.zeros(n), vectors=X, known=known)
        scores = ask(pool, Plan(n_instances, batch=n_instances, seed=seed))
        rows = np.argsort(-scores, kind="stable")[:n_instances]
        return rows, scores[rows]

    return query
