"""What the batch strategies share: the number of picks, picks as scores, and k-means."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from sampling.errors import MissingInput
from sampling.pool import Floats, Plan, Pool, Rows

_MAX_BATCHES = 20  # the model is fitted again long before twenty batches are labelled


def count_picks(pool: Pool, plan: Plan) -> int:
    """Return how many rows to pick one by one; the other rows keep the scores that they have."""
    return min(len(pool), plan.size, _MAX_BATCHES * plan.batch)


def scores_of_picks(picks: Sequence[int], rest: Floats) -> Floats:
    """Return scores in (1, 2] for the picked rows, the first pick highest, and `rest` (in [0, 1]) for the others."""
    scores = rest.copy()
    if len(picks):
        scores[np.asarray(picks)] = 2.0 - np.arange(len(picks)) / len(picks)
    return scores


def required_vectors(pool: Pool) -> Rows:
    """Return the vectors of a pool, shape (n, d); MissingInput where it has none."""
    if pool.vectors is None:
        raise MissingInput("this strategy needs distances, and the pool has no vectors: pass Pool(vectors=(n, d)).")
    return pool.vectors


def fit_kmeans(rows: Rows, weights: Floats | None, n_clusters: int, seed: int) -> KMeans:
    """Fit k-means once from one random start; identical rows may give fewer clusters than asked for."""
    with warnings.catch_warnings():
        # the callers fill the batch up where there are fewer clusters
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(n_clusters, n_init=1, max_iter=25, random_state=seed & 0x7FFFFFFF).fit(
            rows, sample_weight=weights
        )
