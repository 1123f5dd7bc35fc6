"""The measures are modAL's, for every row, whatever modAL's own choice would have been."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sampling.pool import Plan, Pool
from sampling.strategies import uncertainty


@st.composite
def probabilities(draw):
    n, k = draw(st.integers(1, 30)), draw(st.integers(2, 8))
    weights = draw(arrays(np.float64, (n, k), elements=st.floats(0.01, 1.0)))
    return weights / weights.sum(axis=1, keepdims=True)


def pool_of(proba, **more):
    return Pool(tuple(range(len(proba))), proba, np.zeros(len(proba)), **more)


@given(probabilities())
def test_scores_stand_in_the_order_of_the_pool_and_follow_their_formulas(proba):
    pool, plan = pool_of(proba), Plan(len(proba))
    sorted_ = np.sort(proba, axis=1)

    assert uncertainty.margin(pool, plan) == pytest.approx(1 - (sorted_[:, -1] - sorted_[:, -2]))
    assert uncertainty.uncertainty(pool, plan) == pytest.approx(1 - sorted_[:, -1])
    assert uncertainty.entropy(pool, plan) == pytest.approx(-(proba * np.log(proba)).sum(axis=1))


@given(probabilities())
def test_with_two_classes_the_three_measures_rank_alike(proba):
    two = np.column_stack([proba[:, 0], 1 - proba[:, 0]]).round(3)
    pool, plan = pool_of(two), Plan(len(two))
    ranks = [
        np.argsort(-score(pool, plan).round(9), kind="stable").tolist()
        for score in (uncertainty.margin, uncertainty.entropy)
    ]

    assert ranks[0] == ranks[1]


def test_exactly_two_rows_are_not_taken_for_an_index_and_a_metric():
    pool = pool_of(np.array([[0.9, 0.1], [0.6, 0.4]]))

    assert uncertainty.margin(pool, Plan(2)) == pytest.approx([0.2, 0.8])


def test_a_committee_that_splits_is_worth_asking_about():
    sure, other = [0.9, 0.1], [0.1, 0.9]
    unsure = [0.5, 0.5]
    committee = np.array([[sure, sure, unsure], [sure, other, unsure]])  # (2 models, 3 tasks, 2 classes)
    pool = pool_of(committee.mean(axis=0), committee=committee)

    disagreement = uncertainty.max_disagreement(pool, Plan(3))
    entropy = uncertainty.consensus_entropy(pool, Plan(3))

    assert disagreement == pytest.approx([0.0, 0.9 * np.log(0.9 / 0.5) + 0.1 * np.log(0.1 / 0.5), 0.0])
    assert entropy[1] == pytest.approx(entropy[2])  # consensus alone cannot tell a split from a shrug
    assert entropy[0] < entropy[1]
