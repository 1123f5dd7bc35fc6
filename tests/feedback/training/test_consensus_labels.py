from __future__ import annotations

from dataclasses import dataclass

from ml_backend.records import Answer
from tests.support.crowds import settle

SPAM, HAM = Answer("choices", ("spam",)), Answer("choices", ("ham",))


@dataclass(frozen=True)
class VoteLike:
    task: int
    answer: Answer
    annotation: int


def votes(*answers: Answer, task: int = 1) -> list[VoteLike]:
    return [VoteLike(task, answer, 10 + place) for place, answer in enumerate(answers)]


def test_one_answer_settles_a_task_that_wants_one():
    settled = settle(votes(SPAM), {}, max_votes=3).settled

    assert [(item.task, item.answer, item.votes, item.support) for item in settled] == [(1, SPAM, 1, 1.0)]


def test_a_task_that_wants_two_waits_for_the_second():
    first = settle(votes(SPAM), {1: 2}, max_votes=3)
    second = settle(votes(SPAM, SPAM), {1: 2}, max_votes=3)

    assert (first.settled, first.needs_more_votes) == ((), {1: 1})
    assert second.needs_more_votes == {}
    assert second.settled[0].support == 1.0


def test_a_tie_asks_for_one_more_until_the_most():
    tied = settle(votes(SPAM, HAM), {1: 2}, max_votes=3)
    broken = settle(votes(SPAM, HAM, HAM), {1: 2}, max_votes=3)
    hopeless = settle(votes(SPAM, HAM), {1: 2}, max_votes=2)

    assert tied.needs_more_votes == {1: 2}
    assert (broken.settled[0].answer, round(broken.settled[0].support, 3)) == (HAM, 0.667)
    assert (hopeless.settled, hopeless.needs_more_votes) == ((), {})


def test_the_order_of_votes_changes_nothing():
    assert settle(votes(SPAM, HAM, HAM), {1: 3}, max_votes=3).settled[0].answer == HAM
    assert settle(votes(HAM, HAM, SPAM), {1: 3}, max_votes=3).settled[0].answer == HAM
