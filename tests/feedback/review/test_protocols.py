from __future__ import annotations

from types import SimpleNamespace

import pytest

from feedback.policy.tiers import Tier
from feedback.review.protocols import apply_protocol
from ml_backend.records import Answer

SPAM, HAM, NEWS = (Answer("choices", (label,)) for label in ("spam", "ham", "news"))
PANEL = Tier(protocol="panel", panel=3)
TWO = Tier(protocol="two-reader")


def reviews(*given: object) -> list[SimpleNamespace]:
    """An answer for a reading that gives one, else the verdict."""
    return [
        SimpleNamespace(verdict="fix", answer=row)
        if isinstance(row, Answer)
        else SimpleNamespace(verdict=row, answer=None)
        for row in given
    ]


@pytest.mark.parametrize(
    ("given", "outcome", "answer"),
    [
        ([SPAM], "decide", SPAM),
        (["reject"], "none", None),
        (["escalate"], "escalate", None),
        (["guideline"], "guideline", None),
        ([], "wait", None),
    ],
)
def test_a_single_reader_decides(given, outcome, answer):
    result = apply_protocol(reviews(*given), Tier())

    assert (result.outcome, result.answer, result.n_reviewers) == (outcome, answer, 1)


@pytest.mark.parametrize(
    ("given", "outcome", "answer"),
    [
        ([SPAM], "wait", None),
        ([SPAM, HAM], "wait", None),
        ([SPAM, SPAM], "decide", SPAM),
        (["escalate", "escalate"], "escalate", None),
        ([SPAM, SPAM, HAM], "decide", SPAM),
        ([HAM, SPAM, SPAM], "decide", SPAM),
        ([SPAM, HAM, NEWS], "escalate", None),
        (["reject", "reject", HAM], "none", None),
        (["escalate", "escalate", HAM], "escalate", None),
        (["guideline", HAM, "guideline"], "guideline", None),
    ],
)
def test_a_panel_of_three_decides_by_two_equal_answers(given, outcome, answer):
    result = apply_protocol(reviews(*given), PANEL)

    assert (result.outcome, result.answer) == (outcome, answer)


def test_an_accepted_answer_and_the_same_answer_given_anew_are_one_opinion():
    accepted = SimpleNamespace(verdict="accept", answer=SPAM)

    assert apply_protocol([accepted, *reviews(SPAM, HAM)], PANEL).answer == SPAM


def test_one_who_is_always_wrong_changes_no_answer_of_a_panel():
    for truth in (SPAM, HAM):
        wrong = HAM if truth == SPAM else SPAM
        for place in range(3):
            given = [truth, truth]
            given.insert(place, wrong)
            assert apply_protocol(reviews(*given), PANEL).answer == truth


def test_a_panel_may_want_more_than_a_majority():
    strict = Tier(protocol="panel", panel=3, min_agreement=0.9)

    assert apply_protocol(reviews(SPAM, SPAM, HAM), strict).outcome == "escalate"
    assert apply_protocol(reviews(SPAM, SPAM, SPAM), strict).outcome == "decide"


@pytest.mark.parametrize("size", range(2, 8))
@pytest.mark.parametrize("least", [0.0, 0.3, 0.5, 0.6, 0.9])
def test_a_panel_ends_as_soon_as_no_further_answer_can_change_its_outcome_and_never_before(size, least):
    tier = Tier(protocol="panel", panel=size, min_agreement=least)

    def results(given: tuple[object, ...]) -> set[tuple[object, object]]:
        """What the panel can still come to when everybody has answered."""
        if len(given) == size:
            result = apply_protocol(reviews(*given), tier)
            return {(result.outcome, result.answer)}
        return {found for answer in (SPAM, HAM, NEWS) for found in results((*given, answer))}

    def check(given: tuple[object, ...]) -> None:
        result, possible = apply_protocol(reviews(*given), tier), results(given)
        assert result.outcome != "wait" or (len(possible) > 1 and len(given) < size), given
        if result.outcome != "wait":
            assert possible == {(result.outcome, result.answer)}, given
            return
        for answer in (SPAM, HAM):
            check((*given, answer))

    check(())


def test_an_even_panel_that_is_split_decides_nothing():
    assert apply_protocol(reviews(SPAM, HAM), Tier(protocol="panel", panel=2, min_agreement=0.0)).outcome == "escalate"


def test_two_readers_who_agree_need_no_third():
    result = apply_protocol(reviews(SPAM, SPAM), TWO)

    assert (result.outcome, result.answer, result.n_reviewers) == ("decide", SPAM, 2)


def test_two_readers_who_differ_get_an_adjudicator_who_decides_alone():
    assert apply_protocol(reviews(SPAM, HAM), TWO).n_reviewers == 3
    assert apply_protocol(reviews(SPAM, HAM, NEWS), TWO).answer == NEWS
    assert apply_protocol(reviews(SPAM, HAM, "reject"), TWO).outcome == "none"
