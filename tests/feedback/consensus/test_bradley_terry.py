"""The Bradley-Terry model finds order and strengths."""

import numpy as np
import pytest

from feedback.consensus.bradley_terry import bradley_terry
from feedback.errors import VotesError


def test_bradley_terry_finds_the_order_and_covers_the_strengths():
    rng = np.random.default_rng(0)
    strengths = np.linspace(-1.5, 1.5, 8)
    pairs = rng.integers(0, 8, (4000, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    first_wins = rng.random(len(pairs)) < 1 / (1 + np.exp(strengths[pairs[:, 1]] - strengths[pairs[:, 0]]))
    winners, losers = np.where(first_wins, pairs.T, pairs.T[::-1])

    found = bradley_terry(winners, losers)

    assert found.order.tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
    assert (np.abs(found.strengths - strengths) < 3 * found.se).all()


def test_a_thing_that_always_won_is_strong_and_finite():
    found = bradley_terry([0] * 50, [1] * 50)

    assert 2 < found.strengths[0] < 10
    assert found.strengths.sum() == pytest.approx(0.0)


def test_a_thing_against_itself_is_refused():
    with pytest.raises(VotesError, match="compared with itself"):
        bradley_terry([1], [1])
