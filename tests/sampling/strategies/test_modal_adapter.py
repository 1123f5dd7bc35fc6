"""Our strategies inside modAL's own learner."""

from __future__ import annotations

import numpy as np
import pytest
from modAL.models import ActiveLearner
from modAL.uncertainty import margin_sampling
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from sampling.errors import PlanError
from sampling.strategies.modal_adapter import query_strategy

X, y = load_iris(return_X_y=True)
START = [0, 1, 60, 61, 120, 121]


def learner(strategy):
    # through the constructor: teach() fails on scikit-learn >= 1.8
    return ActiveLearner(
        LogisticRegression(max_iter=1000), query_strategy=strategy, X_training=X[START], y_training=y[START]
    )


@pytest.mark.parametrize("name", ["margin", "mkm", "ranked", "typical", "random"])
@pytest.mark.parametrize("n_instances", [1, 2, 9])
def test_an_active_learner_takes_our_strategies(name, n_instances):
    rows, instances = learner(query_strategy(name)).query(X, n_instances=n_instances)

    assert len(set(rows.tolist())) == n_instances
    assert instances.tolist() == X[rows].tolist()


def test_margin_equals_margin_of_modal():
    ours, _ = learner(query_strategy("margin")).query(X, n_instances=5)
    theirs, _ = learner(margin_sampling).query(X, n_instances=5)

    assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("n_instances", [0, 151])
def test_more_than_the_pool_is_refused(n_instances):
    with pytest.raises(PlanError, match="wanted 1 to 150"):
        query_strategy("margin")(learner(margin_sampling), X, n_instances=n_instances)


def test_as_many_as_two_rows_come_as_a_pair():
    rows, scores = query_strategy("margin")(learner(margin_sampling), X, n_instances=2)

    assert rows.shape == scores.shape == (2,)
    assert np.diff(scores)[0] <= 0
