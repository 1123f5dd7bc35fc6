"""Votes are checked once, at the door."""

import pytest

from feedback.errors import VotesError
from feedback.votes import Votes, encode_votes


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([0, 1], [0], [0, 1]), "people has 1 rows, tasks has 2"),
        (([0.5], [0], [0]), "tasks holds float64, wanted integer codes"),
        (([[0]], [0], [0]), r"tasks has shape \(1, 1\)"),
        (([0], [-1], [0]), "negative code"),
    ],
)
def test_columns_that_do_not_fit_are_named(columns, message):
    with pytest.raises(VotesError, match=message):
        Votes(*columns)


def test_a_code_beyond_the_announced_number_is_refused():
    with pytest.raises(VotesError, match="only 2 were announced"):
        Votes([0], [0], [2], n_labels=2)


def test_the_latest_vote_of_a_person_counts():
    votes = Votes([0, 1, 0, 0], [0, 0, 1, 0], [1, 1, 2, 0]).latest()

    assert list(zip(votes.tasks, votes.people, votes.labels, strict=True)) == [(1, 0, 1), (0, 1, 2), (0, 0, 0)]


def test_numbers_are_coded_in_their_own_order():
    assert encode_votes(["t", "t"], ["a", "b"], [10, 2]).labels == (2, 10)


def test_names_get_the_same_codes_in_whatever_order_they_arrive():
    rows = [("t2", "bob", "spam"), ("t10", "ann", "ham"), ("t2", "ann", "ham"), (7, "bob", "spam"), (12, "ann", "spam")]
    first, second = encode_votes(*zip(*rows, strict=True)), encode_votes(*zip(*rows[::-1], strict=True))

    assert (first.tasks, first.people, first.labels) == (second.tasks, second.people, second.labels)
    assert first.tasks == (7, 12, "t10", "t2")
    assert [first.tasks[code] for code in first.votes.tasks] == [row[0] for row in rows]
    assert [first.people[code] for code in first.votes.people] == [row[1] for row in rows]
