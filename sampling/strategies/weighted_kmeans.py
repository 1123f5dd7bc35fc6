"""Margin-weighted k-means: batches of uncertain tasks that differ from each other."""

from __future__ import annotations

import numpy as np

from sampling.pool import Floats, Ints, Plan, Pool, Rows
from sampling.strategies.batch import count_picks, fit_kmeans, required_vectors, scores_of_picks
from sampling.strategies.typiclust import typiclust
from sampling.strategies.uncertainty import margin

_CANDIDATES_PER_PICK = 15  # the beta of Zhdanov (2019), who finds 10 enough
_SAME = 1e-12  # margins closer than this are equal


def weighted_kmeans(pool: Pool, plan: Plan) -> Floats:
    """Score batches of uncertain tasks that differ from each other.

    Each batch takes the 15 most uncertain tasks per pick, clusters them with k-means weighted by the margin score, and
    picks the task nearest to each centre, the most uncertain first. The next batch comes from the remaining tasks.
    Where all margins are equal (no model yet) the scores are those of `typiclust`.

    Needs `Pool.vectors`. Picks score in (1, 2], the others their margin score in [0, 1]. The seed starts k-means.
    Zhdanov (2019), Diverse mini-batch active learning, arXiv:1901.05954.

    >>> proba = np.array([[0.5, 0.5], [0.51, 0.49], [0.6, 0.4], [0.9, 0.1]])
    >>> vectors = np.array([[0.0], [0.0], [9.0], [9.0]])  # two pairs of twins
    >>> scores = weighted_kmeans(Pool((1, 2, 3, 4), proba, np.zeros(4), vectors=vectors), Plan(2, batch=2))
    >>> np.argsort(-scores)[:2].tolist()  # not both of the first pair
    [0, 2]
    """
    rows = required_vectors(pool)
    uncertainties = margin(pool, plan)
    if float(np.ptp(uncertainties)) <= _SAME:
        return typiclust(pool, plan)
    n_picks = count_picks(pool, plan)
    remaining = np.argsort(-uncertainties, kind="stable")
    picks: list[int] = []
    while len(picks) < n_picks:
        n_batch = min(plan.batch, n_picks - len(picks))
        candidates = remaining[: _CANDIDATES_PER_PICK * n_batch]
        batch = candidates[_pick_per_cluster(rows[candidates], uncertainties[candidates], n_batch, plan.seed)]
        picks += batch.tolist()
        remaining = remaining[~np.isin(remaining, batch)]
    return scores_of_picks(picks, uncertainties)


def _pick_per_cluster(rows: Rows, uncertainties: Floats, n_batch: int, seed: int) -> Ints:
    """Return the row numbers of the picks, the most uncertain first: the row nearest to the centre of each cluster."""
    n_batch = min(n_batch, rows.shape[0])
    # a weight of zero for every row would leave a cluster without a centre
    fitted = fit_kmeans(rows, uncertainties + 1e-9, n_batch, seed)
    distances = fitted.transform(rows)[np.arange(rows.shape[0]), fitted.labels_]
    nearest_first = np.lexsort((np.arange(rows.shape[0]), distances))
    _, first = np.unique(fitted.labels_[nearest_first], return_index=True)
    picks = nearest_first[first]
    if picks.size < n_batch:  # identical rows give fewer clusters: the most uncertain other rows fill the batch
        others = np.setdiff1d(np.arange(rows.shape[0]), picks)
        picks = np.r_[picks, others[np.argsort(-uncertainties[others], kind="stable")][: n_batch - picks.size]]
    ordered: Ints = picks[np.lexsort((picks, -uncertainties[picks]))]
    return ordered
