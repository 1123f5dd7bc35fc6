"""Krippendorff's alpha against the published values, at every level, and alpha by a distance."""

import math

import numpy as np
import pytest

from feedback.agreement import krippendorff_alpha
from feedback.agreement.krippendorff_alpha import alpha_by_distance
from feedback.errors import VotesError
from feedback.votes import Votes
from ml_backend.codecs import get_codec
from ml_backend.records import Answer
from tests.support.published import (
    BEN_GERRY,
    FOUR_RATERS,
    KRIPPENDORFF_2011,
    MEG_OWEN,
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
def test_the_standard_error_is_gwets_and_the_interval_not_narrower(level, value, se, low):
    found = krippendorff_alpha(from_rows(FOUR_RATERS), level=level, values=[1, 2, 3, 4, 5])

    assert (found.value, found.se) == pytest.approx((value, se), abs=1e-5)
    assert found.low < low < found.high == 1.0


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


def test_alpha_by_a_distance_of_zero_or_one_is_the_nominal_alpha():
    votes = from_rows(FOUR_RATERS)
    answers = [Answer("pairwise", str(label)) for label in votes.labels]

    found = alpha_by_distance(votes.tasks.tolist(), answers, lambda a, b: float(a != b))

    assert found.value == pytest.approx(0.74342, abs=1e-5)
    assert found.se == pytest.approx(krippendorff_alpha(votes).se, rel=0.05)
    assert (found.items, found.pairs) == (11, 55)


def test_alpha_on_drawn_pairs_is_near_the_exact_one():
    rng = np.random.default_rng(3)
    truth = rng.integers(1, 6, 300)
    answers = [
        Answer("rating", int(np.clip(truth[task] + rng.integers(-1, 2), 1, 5))) for task in range(300) for _ in "ab"
    ]
    tasks = np.repeat(np.arange(300), 2).tolist()

    exact = alpha_by_distance(tasks, answers, get_codec("rating").distance, max_pairs=10**6)
    drawn = alpha_by_distance(tasks, answers, get_codec("rating").distance, max_pairs=5000)

    assert drawn.value == pytest.approx(exact.value, abs=0.02)
    assert exact.low < exact.value < exact.high


def test_few_different_answers_are_all_compared_however_many_give_them():
    rng = np.random.default_rng(4)
    answers = [Answer("rating", int(stars)) for stars in rng.integers(1, 6, 900)]
    distance = get_codec("rating").distance

    found = alpha_by_distance(np.repeat(np.arange(300), 3).tolist(), answers, distance, max_pairs=100)

    distance = np.array([[distance(first, second) for second in answers] for first in answers])
    seen = np.mean([distance[at : at + 3, at : at + 3].sum() / 6 for at in range(0, 900, 3)])
    assert found.value == pytest.approx(1 - seen / (distance.sum() / (900 * 899)), abs=1e-9)


def test_the_order_of_the_answers_changes_nothing():
    rng = np.random.default_rng(5)
    answers = [Answer("number", float(value)) for value in rng.integers(1, 400, 300)]
    tasks = np.repeat(np.arange(100), 3).tolist()
    order = rng.permutation(300)

    first = alpha_by_distance(tasks, answers, get_codec("number").distance, max_pairs=2000)
    second = alpha_by_distance(
        [tasks[at] for at in order], [answers[at] for at in order], get_codec("number").distance, max_pairs=2000
    )

    assert (first.value, first.se) == pytest.approx((second.value, second.se), abs=1e-12)


def test_people_who_draw_the_same_boxes_agree_and_strangers_do_not():
    rng = np.random.default_rng(0)
    drawn = [tuple(rng.uniform(0, 60, 2).round(2)) for _ in range(40)]

    def box(x, y, off):
        return Answer("rectanglelabels", ((x + off, y, 20.0, 20.0, 0.0, 1.0, "Car"),))

    near = [box(x, y, off) for x, y in drawn for off in (0.0, 1.0)]
    distance = [box(*drawn[rng.integers(40)], 0.0) for _ in range(80)]
    tasks = np.repeat(np.arange(40), 2).tolist()

    assert alpha_by_distance(tasks, near, get_codec("rectanglelabels").distance).value > 0.85
    assert abs(alpha_by_distance(tasks, distance, get_codec("rectanglelabels").distance).value) < 0.25


def test_single_answers_define_no_alpha():
    found = alpha_by_distance([1, 2], [Answer("rating", 1), Answer("rating", 5)], get_codec("rating").distance)

    assert math.isnan(found.value)
