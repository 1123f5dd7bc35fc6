"""The ranked batch: each pick weighs doubt against distance from everything known or picked before."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.metrics import pairwise_distances_argmin_min

from sampling.plan import Plan
from sampling.pool import Floats, Pool, Rows
from sampling.strategies.batch import head, lift, vectors
from sampling.strategies.uncertainty import uncertainty


def ranked(pool: Pool, plan: Plan) -> Floats:
    """Score the batch that modAL's ranked batch picks, in its order, about a hundred times faster.

    (n,): picks in (1, 2], the others their uncertainty in [0, 1]. Cardoso et al. (2017): doubt counts |L|/(|U| + |L|),
    so with few answers this is nearly farthest-first; it wins where rare classes sit apart. Needs `Pool.vectors`.
    Without `Pool.known` the first pick is the task nearest to the mean of all.

    >>> two_heaps = np.array([[0.0], [0.1], [9.0]])
    >>> pool = Pool((1, 2, 3), np.full((3, 2), 0.5), np.zeros(3), vectors=two_heaps, known=np.zeros((1, 1)))
    >>> ranked(pool, Plan(2)).argmax()
    np.int64(2)
    """
    rows = vectors(pool)
    doubt = uncertainty(pool, plan)
    squares = _squares(rows)
    picks: list[int] = []
    n_picks = head(pool, plan)
    if pool.known is not None and pool.known.shape[0]:
        nearest = pairwise_distances_argmin_min(rows, pool.known)[1].astype(np.float64) ** 2
        n_known = pool.known.shape[0]
    else:
        mean = np.asarray(rows.mean(axis=0)).ravel()
        start = int(np.argmin(squares - 2.0 * _dot(rows, mean)))
        picks = [start][:n_picks]
        nearest = _distances(rows, squares, start)
        n_known = 1
    open_rows = np.ones(len(pool), dtype=bool)
    open_rows[picks] = False
    while len(picks) < n_picks:
        n_open = len(pool) - len(picks)
        alpha = n_open / (n_open + n_known)  # modAL's: both sides change with each pick
        score = alpha * (1.0 - 1.0 / (1.0 + np.sqrt(nearest))) + (1.0 - alpha) * doubt
        score[~open_rows] = -1.0
        pick = int(np.argmax(score))
        picks.append(pick)
        open_rows[pick] = False
        n_known += 1
        # only the newest pick can have come nearer: the reason for the speed
        np.minimum(nearest, _distances(rows, squares, pick), out=nearest)
    return lift(picks, doubt)


def _squares(rows: Rows) -> Floats:
    """(n,) squared length of each row."""
    dense: Floats
    if sparse.issparse(rows):
        dense = np.asarray(rows.multiply(rows).sum(axis=1), dtype=np.float64).ravel()
    else:
        dense = np.einsum("ij,ij->i", rows, rows).astype(np.float64)
    return dense


def _distances(rows: Rows, squares: Floats, row: int) -> Floats:
    """(n,) squared distance of every row to this one."""
    target = np.asarray(rows[[row]].todense()).ravel() if sparse.issparse(rows) else rows[row]
    distances: Floats = np.maximum(squares + squares[row] - 2.0 * _dot(rows, target), 0.0)
    distances[row] = 0.0  # rounding leaves a trace
    return distances


def _dot(rows: Rows, target: Any) -> Floats:
    product: Floats = np.asarray(rows @ target, dtype=np.float64).ravel()
    return product
