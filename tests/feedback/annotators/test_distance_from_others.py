"""Distances of numbers and regions from other people and from gold."""

import numpy as np
import pytest

from feedback.annotators.distance_from_others import distances_of_answers, distances_of_numbers, median_of_others
from ml_backend.codecs import get_codec
from ml_backend.records import Answer


def test_median_of_others_leaves_the_own_answer_out():
    rng = np.random.default_rng(0)
    tasks, values = rng.integers(0, 30, 120), rng.normal(size=120)

    found = median_of_others(tasks, values)

    for row in range(120):
        others = values[(tasks == tasks[row]) & (np.arange(120) != row)]
        assert found[row] == pytest.approx(np.median(others) if len(others) else np.nan, nan_ok=True)


def test_numbers_are_judged_by_distance_from_others_or_from_gold():
    tasks, people = np.repeat(np.arange(50), 3), np.tile(np.arange(3), 50)
    values = np.tile([10.0, 10.0, 13.0], 50)

    by_others = distances_of_numbers(tasks, people, values)
    by_gold = distances_of_numbers(tasks, people, values, truth=np.where(np.arange(50) < 25, 13.0, np.nan))

    assert [item.distance.value for item in by_others] == [1.5, 1.5, 3.0]
    assert [item.distance.value for item in by_gold] == [3.0, 3.0, 0.0]
    assert [item.compared for item in by_gold] == [25, 25, 25]


def test_regions_are_judged_by_distance_from_others():
    near, far = Answer("labels", ((0, 10, "PER"),)), Answer("labels", ((50, 60, "PER"),))
    found = distances_of_answers(np.zeros(3, dtype=int), np.arange(3), [near, near, far], get_codec("labels").distance)

    assert [item.distance.value for item in found] == [0.5, 0.5, 1.0]
