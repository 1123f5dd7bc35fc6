"""A pool is checked at the door, and says what is wrong with which row."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from sampling.errors import PlanError, PoolError
from sampling.pool import Plan, Pool, pool_without_model

TWO = np.array([[0.5, 0.5], [0.9, 0.1]])


@pytest.mark.parametrize(
    ("proba", "sentence"),
    [
        (np.array([0.5, 0.5]), r"shape \(2,\), wanted \(2, k\)"),
        (np.zeros((3, 2)), r"shape \(3, 2\)"),
        (np.empty((2, 0)), "k >= 1"),
        (np.array([[0.5, 0.5], [0.9, 0.2]]), "row 1 of proba"),
        (np.array([[0.5, 0.5], [1.1, -0.1]]), "row 1 of proba"),
        (np.array([[0.5, np.nan], [0.9, 0.1]]), "row 0 of proba"),
        (np.array([[np.inf, 0.0], [0.9, 0.1]]), "row 0 of proba"),
    ],
)
def test_what_cannot_be_probabilities_is_refused_with_its_row(proba, sentence):
    with pytest.raises(PoolError, match=sentence):
        Pool((1, 2), proba, np.zeros(2))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"ids": (1, 1)}, "occur twice"),
        ({"age_s": np.zeros(3)}, "age_s has shape"),
        ({"age_s": np.array([0.0, np.nan])}, "age_s holds NaN"),
        ({"vectors": np.zeros((3, 4))}, "vectors has 3 rows"),
        ({"vectors": np.array([[1.0], [np.inf]])}, "vectors holds NaN or infinity"),
        ({"vectors": np.array([[1], [2]])}, "of floats"),
        ({"labelled_vectors": np.zeros((1, 4))}, "labelled_vectors needs vectors"),
        ({"vectors": np.zeros((2, 4)), "labelled_vectors": np.zeros((1, 3))}, "same number of columns"),
        ({"groups": np.zeros((2, 1))}, "groups has shape"),
        ({"committee": np.stack([TWO])}, "m >= 2"),
        ({"committee": np.stack([TWO, TWO * 2])}, "row 0 of proba"),
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(changed, sentence):
    arrays = {"ids": (1, 2), "proba": TWO, "age_s": np.zeros(2)} | changed

    with pytest.raises(PoolError, match=sentence):
        Pool(**arrays)


def test_a_row_of_nan_is_an_unreadable_task_and_may_have_any_vector():
    pool = Pool((1, 2), np.array([[np.nan, np.nan], [0.9, 0.1]]), np.zeros(2), vectors=np.array([[np.nan], [1.0]]))

    assert pool.readable.tolist() == [False, True]


def test_float32_models_of_many_classes_pass():
    proba = np.random.default_rng(0).dirichlet(np.ones(1000), size=50).astype(np.float32)

    assert len(Pool(tuple(range(50)), proba, np.zeros(50))) == 50


def test_nobody_writes_into_a_pool_and_the_callers_own_array_stays_writable():
    mine = TWO.copy()
    pool = Pool((1, 2), mine, np.zeros(2))

    with pytest.raises(ValueError, match="read-only"):
        pool.proba[0, 0] = 1.0
    mine[0] = [1.0, 0.0]


def test_take_keeps_every_array_in_step():
    vectors = sparse.csr_array(np.eye(3))
    pool = Pool(
        (5, 6, 7),
        np.array([[1.0], [1.0], [1.0]]),
        np.array([0.0, 1.0, 2.0]),
        vectors=vectors,
        groups=np.array([9, 8, 7]),
        committee=np.ones((2, 3, 1)),
    )

    taken = pool.take(np.array([2, 0]))

    assert taken.ids == (7, 5)
    assert taken.age_s.tolist() == [2.0, 0.0]
    assert taken.groups.tolist() == [7, 9]
    assert taken.vectors.toarray().tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    assert taken.committee.shape == (2, 2, 1)


def test_a_pool_may_be_empty():
    assert len(pool_without_model([], [])) == 0


def test_draws_are_uniform_and_differ_between_neighbouring_seeds():
    ids = list(range(20_000))
    first, other = Plan(1, seed=1).random_numbers(ids), Plan(1, seed=2).random_numbers(ids)

    assert abs(np.corrcoef(first, other)[0, 1]) < 0.03
    counts = np.histogram(first, bins=20, range=(0, 1))[0]
    assert ((counts - 1000) ** 2 / 1000).sum() < 50  # chi-square, 19 degrees: p < 0.0002
    assert 0.0 <= first.min() < first.max() < 1.0


@pytest.mark.parametrize("wrong", [{"size": -1}, {"size": 1, "batch": 0}])
def test_a_plan_without_sense_is_refused(wrong):
    with pytest.raises(PlanError):
        Plan(**wrong)
