"""Majority: shares, ties and missing votes."""

import numpy as np
import pytest

from feedback.consensus import majority_vote
from feedback.errors import VotesError
from feedback.votes import Votes


def test_the_label_with_most_votes_wins_and_its_share_is_its_probability():
    answers = majority_vote(Votes([0, 0, 0, 1], [0, 1, 2, 0], [2, 2, 0, 1]))

    assert answers.labels.tolist() == [2, 1]
    assert answers.proba.round(3).tolist() == [[0.333, 0.0, 0.667], [0.0, 1.0, 0.0]]
    assert answers.support.tolist() == [3, 1]


def test_a_tie_goes_to_who_agrees_more_with_others():
    answers = majority_vote(Votes([0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 0, 2], [0, 1, 1, 1, 1, 0]))

    assert answers.labels[0] == 1


def test_a_task_without_votes_has_no_label_and_the_overall_shares():
    answers = majority_vote(Votes([0, 0, 2], [0, 1, 0], [0, 0, 1], n_tasks=3))

    assert answers.labels.tolist() == [0, -1, 1]
    assert answers.proba[1] == pytest.approx([2 / 3, 1 / 3])
    assert answers.support[1] == 0


def test_the_order_of_votes_changes_nothing():
    rng = np.random.default_rng(0)
    votes = Votes(rng.integers(0, 50, 400), rng.integers(0, 9, 400), rng.integers(0, 3, 400))
    order = rng.permutation(400)

    shuffled = majority_vote(Votes(votes.tasks[order], votes.people[order], votes.labels[order]))

    assert (shuffled.labels == majority_vote(votes).labels).all()


def test_no_votes_are_refused_with_what_was_wanted():
    with pytest.raises(VotesError, match="at least one row"):
        majority_vote(Votes([], [], []))
