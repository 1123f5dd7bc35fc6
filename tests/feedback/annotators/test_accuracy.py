"""The accuracy of people against gold and against others, and whether they follow what they see."""

import math

import numpy as np
import pytest

from feedback.annotators.accuracy import advise_pause, against_gold, against_others, measure_anchoring
from feedback.consensus import majority_vote
from feedback.errors import VotesError
from feedback.store import OverrideRow
from feedback.votes import Votes
from ml_backend.records import Answer


def crowd(right=(0.9, 0.9, 0.9, 0.5), n=300, k=3, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    sees = rng.random((n, len(right))) < right
    other = (truth[:, None] + rng.integers(1, k, sees.shape)) % k
    labels = np.where(sees, truth[:, None], other)
    return Votes(np.repeat(np.arange(n), len(right)), np.tile(np.arange(len(right)), n), labels.ravel()), truth


def test_the_careless_one_is_found_without_gold_and_with_it():
    votes, truth = crowd()

    for records in (against_others(votes), against_gold(votes, truth)):
        assert [item.accuracy.value for item in records] == pytest.approx([0.9, 0.9, 0.9, 0.5], abs=0.05)
        assert records[3].accuracy.high < min(item.accuracy.low for item in records[:3])


def test_the_interval_covers_the_truth_about_as_often_as_its_confidence():
    covered = []
    for seed in range(60):
        votes, truth = crowd(n=120, seed=seed)
        covered += [
            item.accuracy.low <= p <= item.accuracy.high
            for item, p in zip(against_gold(votes, truth), (0.9, 0.9, 0.9, 0.5), strict=True)
        ]

    assert np.mean(covered) == pytest.approx(0.95, abs=0.04)


def test_ones_own_vote_never_confirms_itself():
    # three votes a task: with one's own, even a guesser agrees with the majority three times in four
    votes, _ = crowd(right=(0.5, 0.5, 0.5), k=2, n=2000)
    naive = (majority_vote(votes).labels[votes.tasks] == votes.labels)[votes.people == 0].mean()

    alone = against_others(votes)[0]

    assert naive > 0.7
    assert 0.5 in alone.accuracy
    assert math.isnan(alone.accuracy.value)  # votes that are all by chance do not tell
    assert "do not tell" in alone.reason


def test_someone_alone_on_their_tasks_is_compared_with_nobody():
    votes = Votes([0, 1, 2, 3, 3], [0, 0, 0, 1, 2], [0, 1, 0, 1, 1])

    alone = against_others(votes)[0]

    assert (alone.votes, alone.compared) == (3, 0)
    assert (alone.accuracy.low, alone.accuracy.high) == (0.0, 1.0)


def test_the_label_that_a_person_misses_is_named():
    votes, truth = crowd(right=(0.97,) * 4)
    blind = np.where((votes.people == 1) & (truth[votes.tasks] == 2), 0, votes.labels)

    records = against_others(Votes(votes.tasks, votes.people, blind))

    assert records[1].weakest_label == 2
    assert records[0].weakest_label is None


def test_a_pause_is_advised_only_when_the_upper_bound_is_below():
    votes, truth = crowd()
    few = votes.select(votes.tasks < 20)

    many_answers, few_answers = against_gold(votes, truth)[3], against_gold(few, truth)[3]

    assert "proven below 80 %" in advise_pause(many_answers, below=0.8)
    assert advise_pause(many_answers, below=0.55) == ""
    assert advise_pause(few_answers, below=few_answers.family_accuracy.high - 1e-6) == ""


def test_who_answers_what_nobody_answered_rightly_is_wrong():
    votes = Votes([0, 1, 2, 2], [0, 0, 0, 1], [0, 1, 1, 0])

    found = against_gold(votes, np.array([0, 1, 2]))  # the right answer to the last task is one that nobody gave

    assert [(item.compared, item.accuracy.value) for item in found] == [(3, pytest.approx(2 / 3)), (1, 0.0)]
    assert [len(item.by_label) for item in found] == [2, 2]


def test_gold_of_another_length_is_refused():
    with pytest.raises(VotesError, match="one per task"):
        against_gold(Votes([0, 1], [0, 0], [0, 1]), np.array([1]))


def test_people_who_follow_what_they_see_are_found():
    rng, same = np.random.default_rng(0), Answer("choices", ("a",))
    people, shown = np.repeat([0, 1], 400), np.tile([True, False], 400)
    agrees = rng.random(800) < np.where((people == 1) & shown, 0.95, 0.75)
    rows = [
        OverrideRow("7", at, at, person, same, 0.6, "m", same, not agreed, not visible, "", "", "L1", "p", 0.0, "")
        for at, (person, visible, agreed) in enumerate(zip(people.tolist(), shown, agrees, strict=True))
    ]

    steady, led = measure_anchoring(rows)[0], measure_anchoring(rows)[1]

    assert led.low > 0.0
    assert steady.low <= 0.0 <= steady.high
