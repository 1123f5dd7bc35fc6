"""Batch strategies: ranked_batch has modAL's own order, weighted_kmeans and typiclust cover the clusters."""

from __future__ import annotations

import time

import numpy as np
import pytest
from modAL.batch import ranked_batch as modal_ranked_batch
from scipy import sparse

from sampling.ordering import order_tasks
from sampling.pool import Plan, Pool, pool_without_model
from sampling.strategies import load
from sampling.strategies.ranked_batch import ranked_batch
from sampling.strategies.typiclust import typiclust
from sampling.strategies.uncertainty import uncertainty
from sampling.strategies.weighted_kmeans import weighted_kmeans


class Trained:
    """What modAL's ranked batch asks of a learner."""

    on_transformed = False

    def __init__(self, labelled_vectors):
        self.X_training = labelled_vectors


def random_pool(seed, n, d, dtype, *, as_sparse=False):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, d)).astype(dtype)
    labelled_vectors = rng.normal(size=(15, d)).astype(dtype)
    if as_sparse:
        vectors, labelled_vectors = (sparse.csr_matrix(np.maximum(rows, 0)) for rows in (vectors, labelled_vectors))
    return Pool(
        tuple(range(n)), rng.dirichlet(np.ones(4), n), np.zeros(n), vectors=vectors, labelled_vectors=labelled_vectors
    )


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("dtype", "as_sparse"), [(np.float64, False), (np.float32, False), (np.float64, True)])
def test_ranked_batch_picks_what_modal_picks_in_the_same_order(seed, dtype, as_sparse):
    pool = random_pool(seed, 200, 12, dtype, as_sparse=as_sparse)
    theirs, _ = modal_ranked_batch(
        Trained(pool.labelled_vectors),
        unlabeled=pool.vectors,
        uncertainty_scores=uncertainty(pool, Plan(20)),
        n_instances=20,
        metric="euclidean",
        n_jobs=None,
    )

    ours = np.argsort(-ranked_batch(pool, Plan(20)), kind="stable")[:20]

    assert ours.tolist() == theirs.tolist()


def test_ranked_batch_without_known_rows_starts_in_the_middle_and_goes_far():
    line = np.array([[-10.0], [-0.5], [0.2], [0.4], [10.5]])
    pool = pool_without_model(range(5), np.zeros(5), vectors=line)

    picks = np.argsort(-ranked_batch(pool, Plan(3)), kind="stable")[:3]

    assert picks.tolist() == [2, 4, 0]


def clusters(rng, sizes, d=6):
    """Tight clusters far from each other: (vectors, cluster of each row)."""
    middles = rng.normal(size=(len(sizes), d)) * 50
    of = np.repeat(np.arange(len(sizes)), sizes)
    return (middles[of] + rng.normal(size=(len(of), d))).astype(np.float32), of


def test_typiclust_picks_one_of_each_cluster_the_largest_first():
    vectors, of = clusters(np.random.default_rng(0), [200, 100, 60, 30])
    pool = pool_without_model(range(len(of)), np.zeros(len(of)), vectors=vectors)

    picks = np.argsort(-typiclust(pool, Plan(50, batch=4, seed=1)), kind="stable")[:4]

    assert sorted(of[picks].tolist()) == [0, 1, 2, 3]
    assert of[picks[0]] == 0


def test_typiclust_leaves_covered_clusters_for_later():
    vectors, of = clusters(np.random.default_rng(0), [200, 100, 60, 30])
    labelled_vectors = np.array([vectors[of == 0].mean(axis=0)])
    pool = pool_without_model(range(len(of)), np.zeros(len(of)), vectors=vectors, labelled_vectors=labelled_vectors)

    picks = np.argsort(-typiclust(pool, Plan(50, batch=3, seed=1)), kind="stable")[:3]

    assert set(of[picks].tolist()) == {1, 2, 3}


def test_weighted_kmeans_spreads_a_batch_where_margin_would_ask_the_same_thing_again():
    vectors, of = clusters(np.random.default_rng(1), [40, 40, 40, 40])
    first = 0.5 + 0.001 * np.arange(160)  # cluster 0 holds the forty closest calls
    pool = Pool(tuple(range(160)), np.column_stack([first, 1 - first]), np.zeros(160), vectors=vectors)
    plan = Plan(12, batch=12, seed=1)

    by_kmeans = of[np.argsort(-weighted_kmeans(pool, plan), kind="stable")[:12]]
    by_margin = order_tasks(pool, random_share=0.0, seed=1, size=12).ids

    assert set(by_kmeans.tolist()) == {0, 1, 2, 3}
    assert set(of[list(by_margin)].tolist()) == {0}


def test_weighted_kmeans_starts_with_typical_tasks_while_there_is_no_model():
    vectors, _ = clusters(np.random.default_rng(0), [60, 30])
    pool, plan = pool_without_model(range(90), np.zeros(90), vectors=vectors), Plan(40, batch=2, seed=1)

    assert weighted_kmeans(pool, plan).tolist() == typiclust(pool, plan).tolist()
    assert order_tasks(pool, strategy="mkm", random_share=0.0, seed=1, batch=2).reasons[0] == "strategy"


def test_twins_only_still_fill_the_batch():
    proba = np.column_stack([np.linspace(0.5, 0.9, 30), np.linspace(0.5, 0.1, 30)])
    pool = Pool(tuple(range(30)), proba, np.zeros(30), vectors=np.ones((30, 3)))

    scores = weighted_kmeans(pool, Plan(10, batch=10))

    assert (scores > 1.0).sum() == 10
    assert np.argsort(-scores, kind="stable")[:10].tolist() == list(range(10))


@pytest.mark.parametrize("name", ["mkm", "ranked"])
def test_no_row_is_picked_twice_over_many_batches(name):
    rng = np.random.default_rng(0)
    for vectors in (rng.normal(size=(60, 3)), np.ones((60, 3))):
        pool = Pool(tuple(range(60)), rng.dirichlet(np.ones(3), 60), np.zeros(60), vectors=vectors)

        assert (load(name)(pool, Plan(40, batch=7)) > 1.0).sum() == 40


@pytest.mark.timed
@pytest.mark.parametrize("name", ["mkm", "ranked", "typical"])
def test_a_window_of_50000_tasks_is_ordered_within_a_turn(name):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50_000, 128)).astype(np.float32)
    pool = Pool(
        tuple(range(50_000)),
        rng.dirichlet(np.ones(4), 50_000),
        np.zeros(50_000),
        vectors=vectors,
        labelled_vectors=vectors[:200],
    )

    start = time.process_time()
    order_tasks(pool, strategy=name, seed=1, size=500)

    assert time.process_time() - start < 20.0
