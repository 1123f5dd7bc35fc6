"""Gradient boosting from arrays says what scikit-learn says; a release that keeps its trees otherwise is noticed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from ml_backend.errors import BackendError
from ml_backend.models.boosted_trees import BoostedTrees, _arrays_of, fit_trees

IS_CATEGORY = np.array([False, True, False, True])


def rows(n: int, seed: int = 0):
    draw = np.random.default_rng(seed)
    X = np.stack([draw.normal(size=n), draw.integers(0, 70, n), draw.exponential(size=n), draw.integers(2, 5, n)], 1)
    score = X[:, 0] * (X[:, 3] == 3) + (X[:, 1] % 3 == 0) + draw.normal(size=n) / 4
    X[draw.random(X.shape) < 0.1] = np.nan
    return X, score


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities_are_those_of_scikit_learn(n_classes):
    X, score = rows(900)
    labels = np.array(["a", "b", "c"])[np.digitize(np.nan_to_num(score), [0.5, 1.0][: n_classes - 1])]
    estimator = HistGradientBoostingClassifier(categorical_features=IS_CATEGORY, max_iter=30, random_state=0)
    estimator.fit(X[:600], labels[:600])
    unseen = np.vstack([X, np.full((1, 4), np.nan)])

    trees = BoostedTrees(_arrays_of(estimator, X[:600], IS_CATEGORY), n_classes)

    assert np.abs(trees.predict_proba(unseen) - estimator.predict_proba(unseen)).max() < 1e-9
    assert (trees._bits_of >= 0).any()


def test_contributions_add_up_to_the_log_odds():
    X, score = rows(500)
    labels = ["high" if value > 0.5 else "low" for value in np.nan_to_num(score)]
    trees = fit_trees(X, labels, is_category=IS_CATEGORY, weights=None, seed=0)
    proba = trees.predict_proba(X[:20])
    odds = np.log(proba[:, 1] / proba[:, 0])

    added = np.array([trees.contributions(x, 1, 0).sum() for x in X[:20]])

    assert np.ptp(odds - added) < 1e-9
    assert np.allclose(trees.contributions(X[0], 0, 1), -trees.contributions(X[0], 1, 0))


def test_another_scikit_learn_is_an_error_that_says_so():
    with pytest.raises(BackendError, match="keeps the trees of gradient boosting in another way"):
        _arrays_of(object(), np.zeros((1, 4)), IS_CATEGORY)


def test_arrays_that_are_no_trees_are_refused():
    X, score = rows(200)
    good = fit_trees(
        X,
        ["a" if value > 0.5 else "b" for value in np.nan_to_num(score)],
        is_category=IS_CATEGORY,
        weights=None,
        seed=0,
    ).arrays

    with pytest.raises(ValueError, match="not trees"):
        BoostedTrees({**good, "children": np.zeros_like(good["children"])}, 2)
