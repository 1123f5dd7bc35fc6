"""TypiClust: typical tasks first, for the cold start when there is no model yet."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors

from sampling.pool import Floats, Ints, Plan, Pool, Rows
from sampling.strategies.batch import count_picks, fit_kmeans, required_vectors, scores_of_picks

_N_NEIGHBORS = 20  # the paper's own
_MAX_SAMPLE = 4000  # shows the clusters of any pool; k-means on 50,000 rows would take the whole turn
_MAX_CLUSTERS = 200


def typiclust(pool: Pool, plan: Plan) -> Floats:
    """Score one batch: the most typical task of each of the largest clusters without a labelled task.

    Use it before the first model: typical tasks teach more than uncertain ones while labels are few.

    Needs `Pool.vectors`; `Pool.labelled_vectors` shows which clusters are covered already. Up to `plan.batch` picks
    score in (1, 2], the others a random number in [0, 1). The seed draws the sample of 4,000 rows and starts k-means.

    Hacohen, Dekel and Weinshall (2022), Active learning on a budget: opposite strategies suit high and low budgets,
    arXiv:2202.02794.

    >>> from sampling.pool import pool_without_model
    >>> vectors = np.array([[0.0], [0.1], [0.2], [9.0]])  # a cluster of three, and one task alone
    >>> scores = typiclust(pool_without_model([1, 2, 3, 4], np.zeros(4), vectors=vectors), Plan(4, batch=2))
    >>> np.argsort(-scores)[:2].tolist()
    [1, 3]
    """
    rows = required_vectors(pool)
    random_numbers = plan.random_numbers(pool.ids)
    n_picks = min(plan.batch, count_picks(pool, plan))
    if n_picks == 0:
        return random_numbers
    sample = np.sort(np.argsort(random_numbers, kind="stable")[:_MAX_SAMPLE])
    n_labelled = 0 if pool.labelled_vectors is None else pool.labelled_vectors.shape[0]
    n_clusters = min(n_picks + n_labelled, sample.size, max(n_picks, _MAX_CLUSTERS))
    fitted = fit_kmeans(rows[sample], None, n_clusters, plan.seed)
    is_covered = np.zeros(n_clusters, dtype=bool)
    if n_labelled:
        labelled = pool.labelled_vectors.astype(rows.dtype)  # type: ignore[union-attr]  # n_labelled > 0
        is_covered[fitted.predict(labelled)] = True
    sizes = np.bincount(fitted.labels_, minlength=n_clusters)
    clusters = [cluster for cluster in np.lexsort((-sizes, is_covered)).tolist() if sizes[cluster]]
    members = (np.flatnonzero(fitted.labels_ == cluster) for cluster in clusters[:n_picks])
    return scores_of_picks([int(sample[_most_typical(rows[sample], rows_in)]) for rows_in in members], random_numbers)


def _most_typical(rows: Rows, members: Ints) -> int:
    """Return the member with the smallest mean distance to its nearest neighbours; the first of equals."""
    if members.size == 1:
        return int(members[0])
    n_neighbors = min(_N_NEIGHBORS, members.size - 1)
    neighbors = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(rows[members])
    distances, _ = neighbors.kneighbors()
    return int(members[np.argmin(distances.mean(axis=1).round(9))])
