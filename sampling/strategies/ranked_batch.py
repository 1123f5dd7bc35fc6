"""Ranked batch-mode sampling: each pick weighs uncertainty against distance from all labelled and picked tasks."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.metrics import pairwise_distances_argmin_min

from sampling.pool import Floats, Plan, Pool, Rows
from sampling.strategies.batch import count_picks, required_vectors, scores_of_picks
from sampling.strategies.uncertainty import uncertainty


def ranked_batch(pool: Pool, plan: Plan) -> Floats:
    """Score the batch that `modAL.batch.ranked_batch` picks, in its order, about a hundred times faster.

    Uncertainty counts for n_labelled / (n_labelled + n_open), so with few labels this is nearly farthest-first
    sampling. It is strong where rare classes lie apart.

    Needs `Pool.vectors`. Without `Pool.labelled_vectors` the first pick is the task nearest to the mean of all. Picks,
    up to `plan.size` and at most twenty batches, score in (1, 2], the others their uncertainty in [0, 1].

    Cardoso et al. (2017), Ranked batch-mode active learning, doi:10.1016/j.ins.2016.10.037.

    >>> vectors = np.array([[0.0], [0.1], [9.0]])
    >>> labelled = np.zeros((1, 1))
    >>> pool = Pool((1, 2, 3), np.full((3, 2), 0.5), np.zeros(3), vectors=vectors, labelled_vectors=labelled)
    >>> ranked_batch(pool, Plan(2)).argmax()
    np.int64(2)
    """
    rows = required_vectors(pool)
    uncertainties = uncertainty(pool, plan)
    lengths = rows.multiply(rows).sum(axis=1) if sparse.issparse(rows) else np.einsum("ij,ij->i", rows, rows)
    squares = np.asarray(lengths, dtype=np.float64).ravel()
    picks: list[int] = []
    n_picks = count_picks(pool, plan)
    if pool.labelled_vectors is not None and pool.labelled_vectors.shape[0]:
        nearest = pairwise_distances_argmin_min(rows, pool.labelled_vectors)[1].astype(np.float64) ** 2
        n_labelled = pool.labelled_vectors.shape[0]
    else:
        mean = np.asarray(rows.mean(axis=0)).ravel()
        start = int(np.argmin(squares - 2.0 * _dot(rows, mean)))
        picks = [start][:n_picks]
        nearest = _squared_distances(rows, squares, start)
        n_labelled = 1
    is_open = np.ones(len(pool), dtype=bool)
    is_open[picks] = False
    while len(picks) < n_picks:
        n_open = len(pool) - len(picks)
        alpha = n_open / (n_open + n_labelled)  # modAL's: both sides change with each pick
        score = alpha * (1.0 - 1.0 / (1.0 + np.sqrt(nearest))) + (1.0 - alpha) * uncertainties
        score[~is_open] = -1.0
        pick = int(np.argmax(score))
        picks.append(pick)
        is_open[pick] = False
        n_labelled += 1
        # only the newest pick can be nearer than before: the reason for the speed
        np.minimum(nearest, _squared_distances(rows, squares, pick), out=nearest)
    return scores_of_picks(picks, uncertainties)


def _squared_distances(rows: Rows, squares: Floats, row: int) -> Floats:
    """Return the squared distance of every row to one row, shape (n,)."""
    target = np.asarray(rows[[row]].todense()).ravel() if sparse.issparse(rows) else rows[row]
    distances: Floats = np.maximum(squares + squares[row] - 2.0 * _dot(rows, target), 0.0)
    distances[row] = 0.0  # rounding leaves a small rest
    return distances


def _dot(rows: Rows, target: Any) -> Floats:
    return np.asarray(rows @ target, dtype=np.float64).ravel()
