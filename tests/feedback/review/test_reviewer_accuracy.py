"""Reviewers are neither flattered nor slandered by what nobody has settled: simulated ones, whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from feedback.review.honeypots import HONEYPOT_ROUND
from feedback.review.reviewer_accuracy import ReviewerAccuracy, compute_reviewer_accuracy
from feedback.store import CaseRow, ReviewRow
from ml_backend.records import Answer
from tests.feedback.review.test_review_metrics import HAM, SPAM, case, look
from tests.support.proof import size

_JUDGE = 9  # settles what two reviewers answered differently


def pairs(
    rng: np.random.Generator, right: tuple[float, ...], settled: float, n: int, labels: int = 2
) -> tuple[list[CaseRow], list[ReviewRow]]:
    """Cases that two of these reviewers read, blind; a share of those on which they differ is settled by a third."""
    answers = [Answer("choices", (name,)) for name in "abcd"[:labels]]
    cases, looks = [], []
    for number in range(1, n + 1):
        truth = int(rng.integers(labels))
        readers = rng.choice(len(right), 2, replace=False).tolist()
        given = [
            truth if rng.random() < right[reader] else int((truth + rng.integers(1, labels)) % labels)
            for reader in readers
        ]
        looks += [look(number, reader, answers[said]) for reader, said in zip(readers, given, strict=True)]
        final = answers[given[0]] if given[0] == given[1] else None
        if final is None and rng.random() < settled:
            final = answers[truth]
            looks.append(look(number, _JUDGE, final, tier="L3"))
        cases.append(case(number, answer=final, state="resolved" if final else "queued"))
    return cases, looks


def measured(cases: list[CaseRow], looks: list[ReviewRow]) -> dict[int, ReviewerAccuracy]:
    return {row.person: row for row in compute_reviewer_accuracy(cases, looks) if row.person != _JUDGE}


@pytest.mark.parametrize("settled", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("right", [(0.78, 0.97), (0.78, 0.97, 0.97), (0.78, 0.78), (0.9, 0.9, 0.9, 0.78)])
@pytest.mark.parametrize("labels", [2, 4])
def test_the_interval_holds_the_truth_of_everybody(settled, right, labels):
    rng, draws = np.random.default_rng(7), size(ci=12, full=400)
    for n in (60, 300) if size(ci=1, full=0) else (60, 300, 1500):
        missed = np.zeros(len(right), dtype=int)
        for _ in range(draws):
            found = measured(*pairs(rng, right, settled, n, labels))
            missed += [truth not in found[person].upheld for person, truth in enumerate(right)]

        assert missed.max() <= binom.ppf(1 - 1e-5, draws, 0.1), (n, missed)


def appeals(
    rng: np.random.Generator, right: tuple[float, ...], n: int, share: float
) -> tuple[list[CaseRow], list[ReviewRow]]:
    """Cases that one reviewer decides; a share is decided again in the same tier on an appeal, and that stands."""
    cases, looks = [], []
    for number in range(1, n + 1):
        for turn, reader in enumerate(rng.choice(len(right), 2, replace=False).tolist(), start=1):
            answer = SPAM if rng.random() < right[reader] else HAM
            looks.append(look(number, reader, answer, round=turn))
            if rng.random() >= share:
                break
        cases.append(case(number, answer=answer, state="resolved"))
    return cases, looks


@pytest.mark.parametrize("right", [(0.78, 0.97, 0.97), (0.95, 0.95, 0.95)])
def test_a_careless_decision_on_an_appeal_makes_no_careful_reviewer_careless(right: tuple[float, ...]):
    rng, draws = np.random.default_rng(3), size(ci=25, full=400)
    for n, share in ((60, 0.3), (300, 0.3), (300, 1.0)):
        missed = np.zeros(len(right), dtype=int)
        for _ in range(draws):
            found = measured(*appeals(rng, right, n, share))
            missed += [person in found and truth not in found[person].upheld for person, truth in enumerate(right)]

        assert missed.max() <= binom.ppf(1 - 1e-5, draws, 0.1), (n, share, missed)


def test_a_careless_reviewer_whose_differences_stay_open_does_not_stand_at_one():
    found = measured(*pairs(np.random.default_rng(0), (0.78, 0.97), 0.0, 100))

    careless = found[0]
    assert careless.compared == 100
    assert careless.undecided > 15
    assert careless.is_open
    assert careless.upheld.value < 0.95
    assert 0.78 in careless.upheld
    assert careless.upheld.high - careless.upheld.low > 0.2  # nobody can tell which of the two is careless


def test_settled_differences_tell_who_is_careless():
    found = measured(*pairs(np.random.default_rng(0), (0.78, 0.97), 0.6, 400))

    assert found[0].upheld.high < 0.9 < found[1].upheld.value
    assert found[0].upheld.value == pytest.approx(0.78, abs=0.06)


def test_two_who_never_agree_are_not_both_right():
    cases = [case(number, answer=None, state="queued") for number in range(1, 41)]
    looks = [look(number, person, SPAM if person == 5 else HAM) for number in range(1, 41) for person in (5, 6)]

    for row in compute_reviewer_accuracy(cases, looks):
        assert (row.compared, row.undecided) == (40, 40)
        assert row.upheld.value == pytest.approx(0.5)
        assert (row.upheld.low, row.upheld.high) == (0.0, 1.0)


def test_an_override_that_nobody_confirmed_confirms_nobody():
    cases = [case(number) for number in range(1, 31)]
    below = [look(number, person, HAM, tier="L1") for number in range(1, 31) for person in (5, 6)]
    above = [look(number, 7, SPAM) for number in range(1, 31)]
    found = {row.person: row for row in compute_reviewer_accuracy(cases, below + above)}

    assert found[7].undecided == 30
    assert found[7].upheld.low == 0.0
    assert found[5].upheld.value < 0.1


def test_honeypots_count_as_known_answers():
    cases = [case(number) for number in range(1, 41)]
    looks = [look(n, 5, SPAM if n > 8 else HAM, round=HONEYPOT_ROUND, counted=False) for n in range(1, 41)]
    (row,) = compute_reviewer_accuracy(cases, looks)

    assert (row.compared, row.undecided, row.upheld.value) == (40, 0, pytest.approx(0.8))
