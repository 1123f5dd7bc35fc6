"""Figures of a classifier: equal to scikit-learn's, with intervals that hold as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from feedback.stats import classifier_scores as scores
from feedback.stats.intervals import Interval


def rows(n: int, k: int, right: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """True classes and guesses of which a share is right; the classes are of unequal size."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(k, n, p=np.arange(1, k + 1) / (k * (k + 1) / 2))
    return truth, np.where(rng.random(n) < right, truth, rng.integers(0, k, n))


@pytest.mark.parametrize("k", [2, 5, 40])
def test_the_figures_are_those_of_scikit_learn(k: int):
    truth, guess = rows(400, k, 0.7, seed=k)
    counts = scores.confusion_counts(truth, guess, n_classes=k)

    assert scores.macro_f1(counts).value == pytest.approx(f1_score(truth, guess, average="macro"))
    assert scores.accuracy(counts).value == pytest.approx((truth == guess).mean())
    shown = np.random.default_rng(0).integers(0, 9, 400) + 2.0 * (truth == k - 1)  # with ties
    assert scores.roc_auc(truth == k - 1, shown).value == pytest.approx(roc_auc_score(truth == k - 1, shown))


def test_a_row_without_a_prediction_is_wrong_and_a_class_without_rows_does_not_count():
    counts = scores.confusion_counts(np.array([0, 0, 1, 1]), np.array([0, -1, 1, 1]), n_classes=3)

    assert counts[0].tolist() == [1, 0, 0, 1]
    assert scores.accuracy(counts).value == 0.75
    assert scores.macro_f1(counts).value == pytest.approx((2 / 3 + 1) / 2)
    assert math.isnan(scores.f1_by_class(counts)[2])


def test_the_intervals_hold_the_true_figure_about_as_often_as_they_say():
    truth, guess = rows(1_000_000, 3, 0.8, seed=0)
    true = scores.macro_f1(scores.confusion_counts(truth, guess, n_classes=3)).value
    rng, held = np.random.default_rng(1), 0
    for _ in range(200):
        drawn = rng.integers(0, len(truth), 300)
        counts = scores.confusion_counts(truth[drawn], guess[drawn], n_classes=3)
        held += true in scores.macro_f1(counts)

    assert 0.90 <= held / 200 <= 0.99


def test_the_interval_of_the_auc_holds_it_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    is_positive = np.arange(120) < 40
    found = [scores.roc_auc(is_positive, rng.normal(size=120) + is_positive) for _ in range(400)]

    assert 0.92 <= np.mean([0.760250 in interval for interval in found]) <= 0.98  # of two normals one apart


def test_without_rows_there_is_no_figure_and_no_error():
    none = np.zeros(0, np.int64)

    assert math.isnan(scores.macro_f1(scores.confusion_counts(none, none, n_classes=2)).value)
    assert math.isnan(scores.roc_auc(np.array([True]), np.array([0.5])).value)
    assert scores.mean_interval([Interval(0.1, 0.3, 0.2), Interval(0.3, 0.5, 0.4)]) == Interval(
        pytest.approx(0.2), pytest.approx(0.4), pytest.approx(0.3)
    )
