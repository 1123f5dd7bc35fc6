"""Chance-corrected agreement by items against published values."""

import math

import numpy as np
import pytest

from feedback.agreement import (
    brennan_prediger,
    conger_kappa,
    fleiss_kappa,
    gwet_ac1,
    percent_agreement,
)
from feedback.agreement.vote_patterns import count_patterns
from feedback.votes import Votes
from tests.support.published import (
    ABSTRACTORS,
    COHEN_1960,
    DIAGNOSES,
    FIVE_OBSERVERS,
    FLEISS_1971,
    FLEISS_WIKIPEDIA,
    FOUR_RATERS,
    PARADOX_2002,
    from_contingency,
    from_counts,
    from_rows,
)


@pytest.mark.parametrize(
    ("measure", "weighting", "value", "se", "low", "high"),
    [
        (gwet_ac1, "nominal", 0.77544, 0.14295, 0.46081, 1.0),
        (fleiss_kappa, "nominal", 0.76117, 0.15302, 0.42438, 1.0),
        (brennan_prediger, "nominal", 0.77273, 0.14472, 0.45421, 1.0),
        (gwet_ac1, "quadratic", 0.91400, 0.10396, 0.68518, 1.0),
        (gwet_ac1, "linear", 0.85874, 0.11733, 0.60050, 1.0),
        (gwet_ac1, "ordinal", 0.89894, 0.10690, 0.66365, 1.0),
    ],
)
def test_four_raters_with_missing_votes_give_gwets_value_and_error_and_no_narrower_interval(
    measure, weighting, value, se, low, high
):
    found = measure(from_rows(FOUR_RATERS), weighting=weighting)

    assert found.value == pytest.approx(value, abs=1e-5)
    assert found.se == pytest.approx(se, abs=1e-5)
    assert found.low < low < high <= found.high
    assert (found.items, found.pairs) == (11, 55)


@pytest.mark.parametrize(
    ("weighting", "value", "se"),
    [("nominal", 0.49662, 0.12197), ("quadratic", 0.83043, 0.05825)],
)
def test_five_observers_give_gwets_value_and_error(weighting, value, se):
    found = gwet_ac1(from_rows(FIVE_OBSERVERS), weighting=weighting)

    assert (found.value, found.se) == pytest.approx((value, se), abs=1e-5)


@pytest.mark.parametrize(
    ("measure", "table", "value"),
    [
        (gwet_ac1, ABSTRACTORS, 0.84933),
        (fleiss_kappa, ABSTRACTORS, 0.79624),
        (gwet_ac1, DIAGNOSES, 0.45616),
        (gwet_ac1, PARADOX_2002, 0.94077634),
    ],
)
def test_two_raters_give_the_published_value(measure, table, value):
    assert measure(from_contingency(table)).value == pytest.approx(value, abs=1e-5)


def test_fleiss_kappa_is_the_published_one():
    assert fleiss_kappa(from_counts(FLEISS_WIKIPEDIA)).value == pytest.approx(0.2099307, abs=1e-7)
    assert fleiss_kappa(from_counts(FLEISS_1971)).value == pytest.approx(0.43024452, abs=1e-8)


def test_brennan_prediger_is_randolphs_free_marginal_kappa():
    assert brennan_prediger(from_counts(FLEISS_WIKIPEDIA)).value == pytest.approx(0.22252747, abs=1e-8)


def test_conger_is_the_published_one_and_cohens_with_two_people():
    found = conger_kappa(from_rows(FOUR_RATERS))

    assert (found.value, found.se) == pytest.approx((0.76282, 0.14917), abs=1e-5)
    assert conger_kappa(from_contingency(COHEN_1960)).value == pytest.approx(0.49152542, abs=1e-8)


def test_percent_agreement_is_the_mean_share_of_agreeing_pairs():
    found = percent_agreement(from_rows(FOUR_RATERS))

    assert found.value == pytest.approx(0.81818, abs=1e-5)
    assert 0.4 < found.low < found.value < found.high <= 1.0


def test_an_item_with_one_vote_can_neither_agree_nor_disagree():
    pair = Votes([0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1])
    with_single = Votes([0, 0, 1, 1, 2], [0, 1, 0, 1, 0], [0, 0, 0, 1, 1])

    assert percent_agreement(pair).value == percent_agreement(with_single).value == 0.5
    assert percent_agreement(with_single).items == 2


def test_full_agreement_on_few_items_does_not_claim_certainty():
    few = percent_agreement(Votes([0, 0, 1, 1, 2, 2], [0, 1] * 3, [0, 0, 1, 1, 0, 0]))
    many = percent_agreement(
        Votes(np.repeat(np.arange(300), 2), np.tile([0, 1], 300), np.repeat(np.arange(300) % 2, 2))
    )

    assert few.value == many.value == 1.0
    assert few.low < 0.5
    assert many.low > 0.98


def test_kappa_keeps_doubt_when_nobody_ever_disagrees():
    found = fleiss_kappa(Votes([0, 0, 1, 1, 2, 2], [0, 1] * 3, [0, 0, 1, 1, 0, 0]))

    assert found.value == 1.0
    assert found.low < 0.3


def test_a_single_label_for_everything_is_undefined_with_a_note():
    found = fleiss_kappa(Votes([0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]))

    assert math.isnan(found.value)
    assert (found.low, found.high) == (-1.0, 1.0)
    assert "same label" in found.note


@pytest.mark.parametrize("measure", [percent_agreement, fleiss_kappa, gwet_ac1, brennan_prediger])
def test_no_votes_give_no_figure_and_no_error(measure):
    found = measure(Votes([], [], [], n_tasks=3, n_people=2, n_labels=2))

    assert math.isnan(found.value)
    assert found.items == 0


def test_patterns_are_the_same_by_digits_and_by_hash():
    rng = np.random.default_rng(0)
    tasks, people = np.repeat(np.arange(500), 4), np.tile(np.arange(4), 500)
    labels = rng.integers(0, 3, 2000)

    digits = count_patterns(Votes(tasks, people, labels))
    hashed = count_patterns(Votes(tasks, people, labels * 40))  # 81 labels: too many digits for one number

    assert digits.counts.shape[1] == 3
    assert hashed.counts.shape[1] == 81
    assert sorted(digits.times) == sorted(hashed.times)
    assert fleiss_kappa(digits).value == pytest.approx(fleiss_kappa(hashed).value, abs=1e-12)
