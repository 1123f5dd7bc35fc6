"""Batches that differ from each other: weighted k-means over doubt, and typical points for a cold start."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors

from sampling.plan import Plan
from sampling.pool import Floats, Ints, Pool, Rows
from sampling.strategies.batch import head, lift, vectors
from sampling.strategies.uncertainty import margin

_POOL_SHARE = 15  # candidates per place in the batch; Zhdanov (2019) uses 10 to 50
_NEIGHBOURS = 20  # TypiClust's own
_SAMPLE = 4000  # enough to see the heaps of any pool; k-means on 50,000 rows would take the turn
_MOST_CLUSTERS = 200
_SAME = 1e-12


def mkm(pool: Pool, plan: Plan) -> Floats:
    """Score batches of doubtful tasks that differ from each other; typical tasks while there is no model.

    (n,): picks in (1, 2], the others their margin score in [0, 1]. Margin-weighted k-means, Zhdanov (2019):
    of the 15 most doubtful tasks per place, one from each of `plan.batch` clusters, most doubtful first; then the
    next batch from what is left. Needs `Pool.vectors`.
    """
    rows = vectors(pool)
    doubt = margin(pool, plan)
    if float(np.ptp(doubt)) <= _SAME:
        return typical(pool, plan)
    wanted = head(pool, plan)
    by_doubt = np.argsort(-doubt, kind="stable")
    picks: list[int] = []
    while len(picks) < wanted:
        n_batch = min(plan.batch, wanted - len(picks))
        candidates = by_doubt[: _POOL_SHARE * n_batch]
        batch = candidates[_one_of_each(rows[candidates], doubt[candidates], n_batch, plan.seed)]
        picks += batch.tolist()
        by_doubt = by_doubt[~np.isin(by_doubt, batch)]
    return lift(picks, doubt)


def typical(pool: Pool, plan: Plan) -> Floats:
    """Score one batch of tasks that stand in the middle of the biggest heaps nobody has answered from yet.

    (n,): picks in (1, 2], the others a random draw in [0, 1). TypiClust, Hacohen et al. (2022): typical first,
    doubtful later. Needs `Pool.vectors`; `Pool.known` says which heaps are covered.
    """
    rows = vectors(pool)
    draws = plan.draws(pool.ids)
    wanted = min(plan.batch, head(pool, plan))
    if wanted == 0:
        return draws
    sample = np.sort(np.argsort(draws, kind="stable")[:_SAMPLE])
    n_known = 0 if pool.known is None else pool.known.shape[0]
    n_clusters = min(wanted + n_known, sample.size, max(wanted, _MOST_CLUSTERS))
    fitted = _k_means(rows[sample], None, n_clusters, plan.seed)
    covered = np.zeros(n_clusters, dtype=bool)
    if n_known:
        covered[fitted.predict(pool.known.astype(rows.dtype))] = True  # type: ignore[union-attr]  # n_known says so
    sizes = np.bincount(fitted.labels_, minlength=n_clusters)
    heaps = [heap for heap in np.lexsort((-sizes, covered)).tolist() if sizes[heap]]
    picks = [int(sample[_middle(rows[sample], np.flatnonzero(fitted.labels_ == heap))]) for heap in heaps[:wanted]]
    return lift(picks, draws)


def _one_of_each(rows: Rows, doubt: Floats, n_batch: int, seed: int) -> Ints:
    """Row numbers of the n_batch picks, most doubtful first: the row nearest to the middle of each cluster."""
    n_batch = min(n_batch, rows.shape[0])
    # a weight of zero for every row would leave a cluster without a middle
    fitted = _k_means(rows, doubt + 1e-9, n_batch, seed)
    distances = fitted.transform(rows)[np.arange(rows.shape[0]), fitted.labels_]
    nearest_first = np.lexsort((np.arange(rows.shape[0]), distances))
    _, first = np.unique(fitted.labels_[nearest_first], return_index=True)
    chosen = nearest_first[first]
    if chosen.size < n_batch:  # twins: fewer heaps than places, the most doubtful of the others fill them
        others = np.setdiff1d(np.arange(rows.shape[0]), chosen)
        chosen = np.r_[chosen, others[np.argsort(-doubt[others], kind="stable")][: n_batch - chosen.size]]
    order: Ints = chosen[np.lexsort((chosen, -doubt[chosen]))]
    return order


def _middle(rows: Rows, members: Ints) -> int:
    """The member with the nearest neighbours; the first of equals."""
    if members.size == 1:
        return int(members[0])
    n_neighbours = min(_NEIGHBOURS, members.size - 1)
    near = NearestNeighbors(n_neighbors=n_neighbours, algorithm="brute").fit(rows[members])
    distances, _ = near.kneighbors()
    return int(members[np.argmin(distances.mean(axis=1).round(9))])


def _k_means(rows: Rows, weights: Floats | None, n_clusters: int, seed: int) -> KMeans:
    with warnings.catch_warnings():
        # twins make fewer heaps than asked for: the callers fill up
        warnings.simplefilter("ignore", ConvergenceWarning)
        return KMeans(n_clusters, n_init=1, max_iter=25, random_state=seed & 0x7FFFFFFF).fit(
            rows, sample_weight=weights
        )
