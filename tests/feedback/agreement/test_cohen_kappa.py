"""Cohen's kappa against published tables, and what averaging over pairs must not do."""

import math

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from feedback.agreement import cohen_kappa, gwet_ac1
from feedback.agreement.cohen_kappa import pair_votes, pairwise_kappa
from feedback.votes import Votes
from tests.support.published import ABSTRACTORS, COHEN_1960, DIAGNOSES, PARADOX_2002, from_contingency


@pytest.mark.parametrize(
    ("table", "weighting", "value", "tolerance"),
    [
        (COHEN_1960, "nominal", 0.49152542, 1e-8),
        (COHEN_1960, [[0, 1, 3], [1, 0, 6], [3, 6, 0]], 0.34782609, 1e-8),
        (COHEN_1960, "linear", 0.47368421, 1e-8),
        (COHEN_1960, "quadratic", 0.45454545, 1e-8),
        ([[20, 5], [10, 15]], "nominal", 0.4, 1e-8),
        ([[45, 15], [25, 15]], "nominal", 0.13043478, 1e-8),
        ([[25, 35], [5, 35]], "nominal", 0.25925926, 1e-8),
        (PARADOX_2002, "nominal", -0.02339181, 1e-8),
        (ABSTRACTORS, "nominal", 0.79641, 1e-5),
        (DIAGNOSES, "nominal", 0.4315, 1e-5),
    ],
)
def test_kappa_is_the_published_one(table, weighting, value, tolerance):
    assert cohen_kappa(from_contingency(table), weighting=weighting).value == pytest.approx(value, abs=tolerance)


def test_standard_error_and_interval_are_those_of_cohens_table():
    found = cohen_kappa(from_contingency(COHEN_1960))

    assert found.se == pytest.approx(0.05100182, abs=1e-7)
    assert found.low < 0.3915637 < 0.59148715 < found.high  # the published interval is for large samples
    assert found.high - found.low < 0.22
    assert (found.items, found.pairs) == (200, 200)


@pytest.mark.parametrize("weighting", ["nominal", "linear", "quadratic"])
def test_kappa_equals_scikit_learns(weighting):
    rng = np.random.default_rng(1)
    first = rng.integers(0, 5, 300)
    second = np.where(rng.random(300) < 0.6, first, rng.integers(0, 5, 300))
    votes = Votes(np.tile(np.arange(300), 2), np.repeat([0, 1], 300), np.concatenate([first, second]))

    expected = cohen_kappa_score(first, second, weights=None if weighting == "nominal" else weighting)
    assert cohen_kappa(votes, weighting=weighting).value == pytest.approx(expected, abs=1e-12)


def test_three_people_give_the_mean_over_pairs_weighted_by_shared_items():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 90)
    answers = {person: np.where(rng.random(90) < 0.7, truth, rng.integers(0, 3, 90)) for person in range(3)}
    seen = {0: np.arange(90), 1: np.arange(90), 2: np.arange(30)}
    votes = Votes(
        np.concatenate([seen[p] for p in seen]),
        np.concatenate([np.full(len(seen[p]), p) for p in seen]),
        np.concatenate([answers[p][seen[p]] for p in seen]),
    )

    pairs = [(0, 1, 90), (0, 2, 30), (1, 2, 30)]
    expected = sum(n * cohen_kappa_score(answers[a][:n], answers[b][:n]) for a, b, n in pairs) / 150
    assert cohen_kappa(votes).value == pytest.approx(expected, abs=1e-12)
    assert cohen_kappa(votes).pairs == 150


def test_pairs_that_share_too_few_items_are_left_out_with_a_note():
    found = cohen_kappa(Votes([0, 0, 1, 1], [0, 1, 0, 1], [0, 1, 1, 1]))

    assert math.isnan(found.value)
    assert "share 5 items" in found.note


def test_the_paradox_shows_in_the_pair_of_figures():
    votes = from_contingency(PARADOX_2002)

    assert cohen_kappa(votes).value < 0 < 0.94 < gwet_ac1(votes).value


def test_huge_overlap_is_judged_on_drawn_items():
    votes = Votes(np.repeat(np.arange(1000), 5), np.tile(np.arange(5), 1000), np.arange(5000) % 3)

    assert len(pair_votes(votes, max_pairs=2000)) == pytest.approx(2000, rel=0.2)
    assert len(pair_votes(votes)) == 10_000


def test_two_votes_of_one_person_are_no_pair():
    assert len(pair_votes(Votes([0, 0, 0], [1, 1, 2], [0, 1, 1]))) == 2


def sparse_crowd(rng, n, *, people=12, per_task=3):
    """Votes of three of twelve people who see the truth four times in five, of three labels."""
    truth = rng.integers(0, 3, n)
    who = rng.permuted(np.tile(np.arange(people), (n, 1)), axis=1)[:, :per_task]
    answers = np.where(rng.random(who.shape) < 0.8, truth[:, None], rng.integers(0, 3, who.shape))
    return Votes(np.repeat(np.arange(n), per_task), who.ravel(), answers.ravel(), n, people, 3)


def test_the_interval_over_many_pairs_that_share_little_covers_the_truth():
    """The kappa of a pair that shares six items is too low on average; over sixty pairs that does not average out."""
    found = [cohen_kappa(sparse_crowd(np.random.default_rng(seed), 150)) for seed in range(200)]
    truth = 0.8**2

    assert np.mean([item.low <= truth <= item.high for item in found]) > 0.92
    assert np.mean([item.high - item.low for item in found]) < 0.25
    assert all(item.low <= item.value <= item.high for item in found)


def test_full_agreement_of_two_people_on_few_items_with_a_rare_label_claims_little():
    found = cohen_kappa(from_contingency([[18, 0], [0, 2]]))

    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low < 0.2


def crowd(right=(0.9, 0.9, 0.9, 0.34), n=200, k=3, seed=0):
    """Everybody votes on every task; the truth, and how often each person sees it."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    sees = rng.random((n, len(right))) < right
    labels = np.where(sees, truth[:, None], rng.integers(0, k, (n, len(right))))
    return Votes(np.repeat(np.arange(n), len(right)), np.tile(np.arange(len(right)), n), labels.ravel())


def test_every_two_people_have_the_kappa_that_they_have_alone():
    votes = crowd()
    found = pairwise_kappa(votes)

    pair = cohen_kappa(votes.select(votes.people < 2))
    assert (found[0, 1].value, found[0, 1].low) == pytest.approx((pair.value, pair.low), abs=1e-9)
    assert [kappa.items for kappa in found.values()] == [200] * 6


def test_the_careless_person_stands_out_of_the_pairs():
    found = pairwise_kappa(crowd())

    careless = [kappa.high for pair, kappa in found.items() if 3 in pair]
    assert max(careless) < min(kappa.low for pair, kappa in found.items() if 3 not in pair)


def test_the_kappa_of_two_people_who_share_a_few_items_is_not_certain():
    rng, inside = np.random.default_rng(0), []
    for _ in range(300):
        sees = rng.random((8, 2)) < 0.8
        answers = np.where(sees, rng.integers(0, 3, (8, 1)), rng.integers(0, 3, (8, 2)))
        found = pairwise_kappa(Votes(np.repeat(np.arange(8), 2), np.tile([0, 1], 8), answers.ravel(), n_labels=3))
        inside.append(found[0, 1].low <= 0.8**2 <= found[0, 1].high)
    alike = pairwise_kappa(Votes(np.repeat(np.arange(5), 2), np.tile([0, 1], 5), np.repeat([0, 1, 0, 1, 1], 2)))[0, 1]

    assert np.mean(inside) > 0.93
    assert (alike.value, alike.high) == (1.0, 1.0)
    assert alike.low < 0.2


def test_the_pairs_are_of_those_with_most_votes():
    votes = crowd(right=(0.8,) * 6)
    fewer = votes.select((votes.people < 4) | (votes.tasks < 100))

    assert set(pairwise_kappa(fewer, max_people=4)) == {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}
