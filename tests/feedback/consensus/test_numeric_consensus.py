"""Median and trimmed mean of numbers."""

import numpy as np
import pytest

from feedback.consensus.numeric_consensus import median, trimmed_mean
from feedback.errors import VotesError


def test_the_median_is_numpys_per_task_and_nan_without_answers():
    rng = np.random.default_rng(0)
    tasks, values = rng.integers(0, 40, 300), rng.normal(size=300)

    found = median(tasks, values, n_tasks=42)

    expected = [np.median(values[tasks == task]) if (tasks == task).any() else np.nan for task in range(42)]
    assert found.values == pytest.approx(np.array(expected), nan_ok=True)
    assert found.support.tolist() == np.bincount(tasks, minlength=42).tolist()


def test_a_wild_answer_moves_neither_median_nor_trimmed_mean():
    tasks, values = np.zeros(5, dtype=int), np.array([9.0, 10.0, 11.0, 10.0, 1e9])

    assert median(tasks, values).values[0] == 10.0
    assert trimmed_mean(tasks, values).values[0] == pytest.approx(31 / 3)
    assert trimmed_mean(tasks, values, trim=0.0).values[0] == pytest.approx(values.mean())


@pytest.mark.parametrize(
    ("tasks", "values", "message"),
    [([0], [float("nan")], "not a finite number"), ([0, 1], [1.0], "one value per row"), ([], [], "no answers")],
)
def test_numbers_that_are_none_are_refused(tasks, values, message):
    with pytest.raises(VotesError, match=message):
        median(tasks, values)
