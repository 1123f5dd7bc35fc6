"""Krippendorff's alpha against the published values, at every level."""

import numpy as np
import pytest

from feedback.agreement import krippendorff_alpha
from feedback.errors import VotesError
from feedback.votes import Votes
from tests.support.published import (
    BEN_GERRY,
    FOUR_RATERS,
    KRIPPENDORFF_2011,
    MEG_OWEN,
    from_contingency,
    from_rows,
    transposed,
)


@pytest.mark.parametrize(
    ("level", "value"),
    [("nominal", 0.74342105), ("ordinal", 0.8153875), ("interval", 0.84910714), ("ratio", 0.79740277)],
)
def test_the_four_levels_give_the_published_alpha(level, value):
    found = krippendorff_alpha(from_rows(transposed(KRIPPENDORFF_2011)), level=level, values=[1, 2, 3, 4, 5])

    assert found.value == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize(("table", "value"), [(MEG_OWEN, 0.0952381), (BEN_GERRY, 0.69196429)])
def test_two_observers_give_the_published_alpha(table, value):
    assert krippendorff_alpha(from_rows(transposed(table))).value == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize(
    ("level", "value", "se", "low"), [("nominal", 0.74342, 0.14557, 0.41906), ("interval", 0.84911, 0.12913, 0.56139)]
)
def test_standard_error_and_interval_are_gwets(level, value, se, low):
    found = krippendorff_alpha(from_rows(FOUR_RATERS), level=level, values=[1, 2, 3, 4, 5])

    assert (found.value, found.se, found.low, found.high) == pytest.approx((value, se, low, 1.0), abs=1e-5)


def test_the_bootstrap_agrees_with_the_analytic_interval_on_many_items():
    votes = from_contingency([[150, 20, 10], [20, 120, 15], [10, 15, 90]])

    analytic, drawn = (
        krippendorff_alpha(votes, level="ordinal", interval_method=interval_method)
        for interval_method in ("analytic", "bootstrap")
    )

    assert (drawn.low, drawn.high) == pytest.approx((analytic.low, analytic.high), abs=0.015)


def test_the_bootstrap_leaves_out_resamples_without_an_item_of_two_votes():
    tasks = np.r_[np.repeat([0, 1, 2], 2), np.arange(3, 43)]  # 40 of 43 tasks have one vote
    votes = Votes(
        tasks, np.r_[np.tile([0, 1], 3), np.zeros(40, dtype=int)], np.r_[0, 0, 1, 1, 0, 1, np.zeros(40, dtype=int)]
    )

    found = krippendorff_alpha(votes, interval_method="bootstrap")

    assert found.low < found.value <= found.high


def test_thousands_of_different_numbers_are_compared_without_a_matrix():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=6000)
    answers = truth[:, None] + rng.normal(scale=0.5, size=(6000, 2))
    values, labels = np.unique(answers.ravel(), return_inverse=True)

    found = krippendorff_alpha(
        Votes(np.repeat(np.arange(6000), 2), np.tile([0, 1], 6000), labels), level="interval", values=values
    )

    assert found.value == pytest.approx(1 / 1.25, abs=0.02)  # the share of variance that is truth
    assert found.low < 0.8 < found.high


def test_ratio_of_numbers_below_zero_is_refused():
    with pytest.raises(VotesError, match="0 or more"):
        krippendorff_alpha(Votes([0, 0], [0, 1], [0, 1]), level="ratio", values=[-1.0, 2.0])
