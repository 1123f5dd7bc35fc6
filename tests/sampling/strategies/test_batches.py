"""Batches: ranked is modAL's own order, mkm and typical cover the heaps."""

from __future__ import annotations

import time

import numpy as np
import pytest
from modAL.batch import ranked_batch
from scipy import sparse

from sampling.ordering import order
from sampling.plan import Plan
from sampling.pool import Pool, blank
from sampling.strategies import load
from sampling.strategies.ranked_batch import ranked
from sampling.strategies.uncertainty import uncertainty
from sampling.strategies.weighted_kmeans import mkm, typical


class Trained:
    """What modAL's ranked batch asks of a learner."""

    on_transformed = False

    def __init__(self, known):
        self.X_training = known


def random_pool(seed, n, d, dtype, *, as_sparse=False):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(n, d)).astype(dtype)
    known = rng.normal(size=(15, d)).astype(dtype)
    if as_sparse:
        vectors, known = (sparse.csr_matrix(np.maximum(rows, 0)) for rows in (vectors, known))
    return Pool(tuple(range(n)), rng.dirichlet(np.ones(4), n), np.zeros(n), vectors=vectors, known=known)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("dtype", "as_sparse"), [(np.float64, False), (np.float32, False), (np.float64, True)])
def test_ranked_picks_what_modal_picks_in_the_same_order(seed, dtype, as_sparse):
    pool = random_pool(seed, 200, 12, dtype, as_sparse=as_sparse)
    theirs, _ = ranked_batch(
        Trained(pool.known),
        unlabeled=pool.vectors,
        uncertainty_scores=uncertainty(pool, Plan(20)),
        n_instances=20,
        metric="euclidean",
        n_jobs=None,
    )

    ours = np.argsort(-ranked(pool, Plan(20)), kind="stable")[:20]

    assert ours.tolist() == theirs.tolist()


def test_ranked_without_known_rows_starts_in_the_middle_and_goes_far():
    line = np.array([[-10.0], [-0.5], [0.2], [0.4], [10.5]])
    pool = blank(range(5), np.zeros(5), vectors=line)

    picks = np.argsort(-ranked(pool, Plan(3)), kind="stable")[:3]

    assert picks.tolist() == [2, 4, 0]


def heaps(rng, sizes, d=6):
    """Tight heaps far from each other: (vectors, heap of each row)."""
    middles = rng.normal(size=(len(sizes), d)) * 50
    of = np.repeat(np.arange(len(sizes)), sizes)
    return (middles[of] + rng.normal(size=(len(of), d))).astype(np.float32), of


def test_a_typical_start_asks_one_of_each_heap_the_biggest_first():
    vectors, of = heaps(np.random.default_rng(0), [200, 100, 60, 30])
    pool = blank(range(len(of)), np.zeros(len(of)), vectors=vectors)

    picks = np.argsort(-typical(pool, Plan(50, batch=4, seed=1)), kind="stable")[:4]

    assert sorted(of[picks].tolist()) == [0, 1, 2, 3]
    assert of[picks[0]] == 0


def test_a_typical_start_leaves_covered_heaps_for_later():
    vectors, of = heaps(np.random.default_rng(0), [200, 100, 60, 30])
    known = np.array([vectors[of == 0].mean(axis=0)])
    pool = blank(range(len(of)), np.zeros(len(of)), vectors=vectors, known=known)

    picks = np.argsort(-typical(pool, Plan(50, batch=3, seed=1)), kind="stable")[:3]

    assert set(of[picks].tolist()) == {1, 2, 3}


def test_mkm_spreads_a_batch_where_margin_would_ask_the_same_thing_again():
    vectors, of = heaps(np.random.default_rng(1), [40, 40, 40, 40])
    first = 0.5 + 0.001 * np.arange(160)  # heap 0 holds the forty closest calls
    pool = Pool(tuple(range(160)), np.column_stack([first, 1 - first]), np.zeros(160), vectors=vectors)
    plan = Plan(12, batch=12, seed=1)

    by_mkm = of[np.argsort(-mkm(pool, plan), kind="stable")[:12]]
    by_margin = order(pool, random_share=0.0, seed=1, size=12).ids

    assert set(by_mkm.tolist()) == {0, 1, 2, 3}
    assert set(of[list(by_margin)].tolist()) == {0}


def test_mkm_starts_with_typical_tasks_while_there_is_no_model():
    vectors, _ = heaps(np.random.default_rng(0), [60, 30])
    pool, plan = blank(range(90), np.zeros(90), vectors=vectors), Plan(40, batch=2, seed=1)

    assert mkm(pool, plan).tolist() == typical(pool, plan).tolist()
    assert order(pool, strategy="mkm", random_share=0.0, seed=1, batch=2).reasons[0] == "strategy"


def test_twins_only_still_fill_the_batch():
    proba = np.column_stack([np.linspace(0.5, 0.9, 30), np.linspace(0.5, 0.1, 30)])
    pool = Pool(tuple(range(30)), proba, np.zeros(30), vectors=np.ones((30, 3)))

    scores = mkm(pool, Plan(10, batch=10))

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
        tuple(range(50_000)), rng.dirichlet(np.ones(4), 50_000), np.zeros(50_000), vectors=vectors, known=vectors[:200]
    )

    start = time.process_time()
    order(pool, strategy=name, seed=1, size=500)

    assert time.process_time() - start < 20.0
