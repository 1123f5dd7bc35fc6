"""`select_method`: a committee where error rates can be learnt, the majority where they cannot."""

import numpy as np
import pytest

from feedback.consensus import dawid_skene, majority_vote, select_method
from feedback.consensus.gold_calibration import consensus_log_odds, fit_confidence_model
from feedback.consensus.method_selection import METHODS, prefer_proven_on_gold, score_on_hidden_votes
from feedback.errors import VotesError
from feedback.votes import Votes
from ml_backend.calibration import expected_calibration_error


def simulate_votes(seed, *, n=400, people=40, k=3, per_task=5, skill=(6.0, 2.5), spam=0.0, confusing=False):
    """A crowd whose people differ, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    right = rng.beta(*skill, people)
    errors = np.stack([np.eye(k) * item + (1 - np.eye(k)) * (1 - item) / (k - 1) for item in right])
    if confusing:
        errors = np.stack([[rng.dirichlet(np.ones(k) * 0.6 + np.eye(k)[row] * 4) for row in range(k)] for _ in right])
    errors[rng.random(people) < spam] = 1.0 / k
    votes_of = np.array([rng.choice(people, per_task, replace=False) for _ in range(n)])
    chance = np.cumsum(errors[votes_of, truth[:, None]], axis=2)
    labels = (rng.random((n, per_task, 1)) > chance).sum(axis=2)
    return Votes(
        np.repeat(np.arange(n), per_task), votes_of.ravel(), np.minimum(labels, k - 1).ravel(), n, people, k
    ), truth


@pytest.mark.slow
def test_auto_is_better_than_each_alone_over_many_kinds_of_crowd():
    kinds = [{}, {"spam": 0.4}, {"confusing": True}, {"per_task": 3, "people": 90}, {"skill": (4.0, 4.0)}]
    gains = {"majority": [], "dawid_skene": []}
    for seed in range(4):
        for kind in kinds:
            votes, truth = simulate_votes(seed, **kind)
            ours = (select_method(votes).consensus.labels == truth).mean()
            gains["majority"].append(ours - (majority_vote(votes).labels == truth).mean())
            gains["dawid_skene"].append(ours - (dawid_skene(votes).labels == truth).mean())

    for alone in gains.values():
        assert np.mean(alone) - 2 * np.std(alone) / np.sqrt(len(alone)) > 0
    assert min(gains["majority"]) > -0.03  # on one crowd of 400 tasks; the mean above is what is promised


@pytest.mark.parametrize(
    "votes",
    [
        Votes(np.arange(100), np.arange(100) % 4, np.arange(100) % 2),  # one vote a task
        Votes(np.repeat(np.arange(50), 2), np.arange(100), np.arange(100) % 2),  # one vote a person
    ],
)
def test_sparse_votes_fall_back_to_the_majority_with_a_reason(votes):
    choice = select_method(votes)

    assert choice.consensus.method == "majority"
    assert "too few" in choice.reason


def test_a_method_that_predicts_hidden_votes_worse_than_the_majority_is_left_out():
    # everybody knows label 0 from the rest, and mistakes 1 for 2 as often as not: no single skill describes that
    rng = np.random.default_rng(0)
    truth = rng.choice(3, 600, p=[0.8, 0.1, 0.1])
    lenient = rng.random(30) < 0.5
    people = np.array([rng.choice(30, 6, replace=False) for _ in range(600)])
    labels = np.where((truth[:, None] > 0) & lenient[people] & (rng.random(people.shape) < 0.9), 0, truth[:, None])
    votes = Votes(np.repeat(np.arange(600), 6), people.ravel(), labels.ravel())

    trials = score_on_hidden_votes(votes)

    assert trials["one_coin"].margin < trials["hierarchical"].margin
    assert ("one_coin" in select_method(votes).reason.split(";")[0]) == (trials["one_coin"].margin > -2)


def test_gold_lets_a_single_method_take_over_only_when_it_is_proven_better():
    votes, truth = simulate_votes(3, confusing=True, people=8, n=300)
    choice = select_method(votes)
    rows = np.full(300, -1)
    best = max(choice.fits.values(), key=lambda fit: (fit.labels == truth).sum())
    contested = np.flatnonzero(best.labels != choice.consensus.labels)

    rows[contested] = best.labels[contested]  # gold on which one method is always right where the committee is wrong
    few = rows.copy()
    few[contested[3:]] = -1

    assert prefer_proven_on_gold(choice, few).consensus.method == "committee"
    assert (prefer_proven_on_gold(choice, rows).consensus.method != "committee") == (len(contested) >= 7)


def test_auto_repeats_itself():
    votes, _ = simulate_votes(0)

    assert (select_method(votes).consensus.proba == select_method(votes).consensus.proba).all()


@pytest.mark.parametrize("method", [lambda votes: select_method(votes).consensus, *METHODS.values()])
def test_the_order_of_the_rows_changes_nothing(method):
    votes, _ = simulate_votes(1, n=150, people=12, k=4, per_task=4, skill=(3.0, 3.0))
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(votes))
        shuffled = Votes(votes.tasks[order], votes.people[order], votes.labels[order], 150, 12, 4)
        first, second = method(votes), method(shuffled)

        assert first.method == second.method
        assert (first.labels == second.labels).all()
        assert (first.proba == second.proba).all()


def test_the_order_of_the_rows_does_not_change_the_score_on_hidden_votes():
    votes, _ = simulate_votes(1, n=150, people=12, k=4, per_task=4, skill=(3.0, 3.0))
    backwards = Votes(votes.tasks[::-1], votes.people[::-1], votes.labels[::-1], 150, 12, 4)

    assert score_on_hidden_votes(votes) == score_on_hidden_votes(backwards)


def test_no_votes_are_refused():
    with pytest.raises(VotesError):
        select_method(Votes([], [], []))


def test_fifty_gold_answers_bring_confidence_near_the_truth():
    gaps_before, gaps_after = [], []
    for seed in range(4):
        votes, truth = simulate_votes(seed, n=800, spam=0.3, skill=(5.0, 3.0))
        answers = dawid_skene(votes)
        odds, right = consensus_log_odds(answers, votes), answers.labels == truth
        confidence = fit_confidence_model(odds[:50], right[:50]).confidence(odds[50:])
        gaps_before.append(expected_calibration_error(answers.confidence[50:], right[50:]))
        gaps_after.append(expected_calibration_error(np.maximum(confidence, 1 / 3), right[50:]))

    assert np.mean(gaps_after) < 0.06
    assert np.mean(gaps_after) < np.mean(gaps_before)


def test_calibration_error_is_zero_for_a_forecast_that_is_right_as_often_as_its_confidence():
    rng = np.random.default_rng(0)
    sure = rng.uniform(0.5, 1.0, 50_000)

    assert expected_calibration_error(sure, rng.random(50_000) < sure) < 0.01
    assert expected_calibration_error(np.full(50_000, 0.99), rng.random(50_000) < 0.7) == pytest.approx(0.29, abs=0.01)
