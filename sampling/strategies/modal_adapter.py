"""Use our strategies in modAL: `ActiveLearner(estimator, query_strategy=query_strategy("mkm"))`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from sampling.errors import PlanError
from sampling.pool import Floats, Ints, Plan, Pool
from sampling.strategies import Strategy, load

QueryStrategy: TypeAlias = Callable[..., tuple[Ints, Floats]]


def query_strategy(strategy: str | Strategy, *, seed: int = 0) -> QueryStrategy:
    """Wrap a strategy in modAL's signature: `(classifier, X, n_instances=1) -> (rows, scores)`, the best row first.

    The strategy gets the rows of X as vectors and the learner's `X_training` as labelled vectors. The query always
    returns a pair, because modAL reads two bare row numbers as an index and a metric. An estimator that is not fitted
    raises its own error, where modAL would silently return the last rows of the pool.

    PlanError on a query unless `n_instances` is in [1, n]. modAL: Danka and Horvath (2018), arXiv:1805.00979.

    >>> class Classifier:
    ...     def predict_proba(self, X):
    ...         return np.column_stack([X[:, 0], 1 - X[:, 0]])
    >>> rows, scores = query_strategy("margin")(Classifier(), np.array([[0.9], [0.5], [0.6]]), n_instances=2)
    >>> rows.tolist(), scores.round(2).tolist()
    ([1, 2], [1.0, 0.8])
    """
    score = load(strategy) if isinstance(strategy, str) else strategy

    def query(classifier: Any, X: Any, n_instances: int = 1) -> tuple[Ints, Floats]:
        n = X.shape[0]
        if not 1 <= n_instances <= n:
            raise PlanError(f"n_instances is {n_instances}, wanted 1 to {n}: the rows of the pool.")
        labelled = getattr(classifier, "X_training", None)
        pool = Pool(tuple(range(n)), classifier.predict_proba(X), np.zeros(n), vectors=X, labelled_vectors=labelled)
        scores = score(pool, Plan(n_instances, batch=n_instances, seed=seed))
        rows = np.argsort(-scores, kind="stable")[:n_instances]
        return rows, scores[rows]

    return query
