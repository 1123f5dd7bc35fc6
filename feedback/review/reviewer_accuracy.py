"""The accuracy of reviewers, from all that others say about their answers; what nobody has settled stays open."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from feedback.review.honeypots import HONEYPOT_ROUND
from feedback.stats.intervals import Interval, wilson
from feedback.store import CaseRow, ReviewRow

_MAX_LEAD_TIME_S = 3600.0  # a longer lead time is that of a forgotten browser tab
_HOUR_S = 3600.0
_MOST_UNDECIDED = 0.1  # share of the compared answers
_Outcome = Literal["agreed", "known", "upheld", "wrong", "undecided", "nothing"]  # of comparing one review
_COMPARED: tuple[_Outcome, ...] = ("agreed", "known", "upheld", "wrong", "undecided")


@dataclass(frozen=True, slots=True)
class ReviewerAccuracy:
    """One reviewer compared with others: of the same panel, of the tier above, or of a second look."""

    person: int
    n_reviews: int
    refused: int
    compared: int
    undecided: int  # of the compared: others answered differently, and nobody else has settled who is right
    upheld: Interval  # share of the compared; from "wrong wherever undecided" to "right wherever undecided"
    reviews_per_hour: float | None

    @property
    def is_open(self) -> bool:
        """Return whether so many differences are undecided that the accuracy says little."""
        return self.undecided > _MOST_UNDECIDED * self.compared


def compute_reviewer_accuracy(
    cases: Sequence[CaseRow], reviews: Sequence[ReviewRow], *, of: Sequence[ReviewRow] | None = None
) -> list[ReviewerAccuracy]:
    """Return how often others uphold the answers of each reviewer, the least first (by the upper bound).

    It is measured on cases, which rules and disagreement choose, and so is another figure than the accuracy of an
    annotator (`feedback.annotators.accuracy`).

    Leave-one-out: a review is right or wrong by a final answer that another person's review gave, too; otherwise one's
    own answer would confirm itself. Where the others gave the same answer, it is right; where they gave another one and
    nothing else settles it, it is undecided, and the interval holds both outcomes. One other person of the same tier,
    whom nobody confirms, settles nothing, for example on an appeal. Two who agree may both be wrong: how
    often follows from how often they differ, if their errors are independent. A honeypot is always compared.

    `of` are the reviews whose authors are measured, for example those of one tier; None for all.
    """
    measured = reviews if of is None else of
    case_by_id = {case.id: case for case in cases}
    n_answers = len({review.answer for review in reviews if review.counted and review.answer is not None})
    by_case: dict[int, list[ReviewRow]] = {}
    by_person: dict[int, list[ReviewRow]] = {}
    for review in reviews:
        by_case.setdefault(review.case, []).append(review)
    for review in measured:
        if review.person is not None:
            by_person.setdefault(review.person, []).append(review)
    found: list[ReviewerAccuracy] = []
    for person, own in sorted(by_person.items()):
        outcomes: Counter[_Outcome] = Counter()
        for review in own:
            others = [other for other in by_case[review.case] if other.person != person and other.counted]
            if (case := case_by_id.get(review.case)) is not None:
                outcomes[_compare(review, case, others)] += 1
        refused = sum(bool(review.refused) for review in own)
        rate = reviews_per_hour(lead_times_s(own))
        compared, accuracy = outcomes.total() - outcomes["nothing"], _accuracy(outcomes, n_answers)
        found.append(ReviewerAccuracy(person, len(own), refused, compared, outcomes["undecided"], accuracy, rate))
    return sorted(found, key=lambda row: (row.upheld.high, row.person))


def _accuracy(outcomes: Mapping[_Outcome, int], n_answers: int) -> Interval:
    """Return the accuracy from the outcomes of the comparisons, among `n_answers` different answers.

    Its value takes the undecided as the settled differences were, or as one half where few were settled.
    """
    agreed, known, upheld, wrong, undecided = (outcomes[name] for name in _COMPARED)
    n = agreed + known + upheld + wrong + undecided
    if not n:
        return wilson(0, 0)
    others_wrong = (upheld + 1.0) / (upheld + wrong + 2.0)  # share of the differences in which the others were wrong
    in_favour = undecided * others_wrong
    right = agreed + known + upheld
    likely = right + in_favour - _both_wrong(wrong + undecided - in_favour, upheld + in_favour, agreed, n, n_answers)
    # errors that people share are likeliest with two answers
    least = right - max(
        _both_wrong(wrong + against, upheld + undecided - against, agreed, n, 2)
        for against in (undecided, undecided / 2)
    )
    low, high = wilson(max(least, 0.0), n).low, wilson(right + undecided, n).high
    return Interval(low, high, min(max(likely / n, low), high))


def _both_wrong(own_wrong: float, others_wrong: float, agreed: int, n: int, n_answers: int) -> float:
    """Return in how many of n comparisons both gave the same wrong answer, at most `agreed`.

    With error rates a and b, two people share q = ab / (k - 1) errors, and a - q and b - q are the differences in which
    one of them is wrong: a quadratic equation for q.
    """
    a, b, k = own_wrong / n, others_wrong / n, max(n_answers, 2)
    half = (k - 1 - a - b) / 2
    q = half - math.sqrt(max(half * half - a * b, 0.0))
    return min(max(q, 0.0) * n, float(agreed))


def _compare(review: ReviewRow, case: CaseRow, others: Sequence[ReviewRow]) -> _Outcome:
    """Return what other people's counted reviews, or the known answer of a honeypot, say about a review."""
    if review.round == HONEYPOT_ROUND:
        return "known" if review.answer == case.answer else "wrong"
    given = {other.answer for other in others if other.answer is not None}
    if not review.counted or review.answer is None or not given:
        return "nothing"
    if case.answer not in given:
        return "agreed" if given == {review.answer} else "undecided"
    if review.answer != case.answer:
        backers = [other for other in others if other.answer == case.answer]
        is_settled = len({other.person for other in backers}) > 1 or {other.tier for other in backers} != {review.tier}
        return "wrong" if is_settled else "undecided"
    return "agreed" if len(given) == 1 else "upheld"


def lead_times_s(reviews: Iterable[ReviewRow]) -> list[float]:
    """Return the plausible lead times of the reviews, in seconds."""
    return [time_s for review in reviews if (time_s := lead_time_s(review))]


def lead_time_s(review: ReviewRow) -> float | None:
    """Return the lead time of a review in seconds; None where it has no plausible one."""
    return review.lead_time_s if review.lead_time_s and review.lead_time_s <= _MAX_LEAD_TIME_S else None


def reviews_per_hour(times_s: Sequence[float]) -> float | None:
    """Return the reviews per hour of working time; None if none was timed."""
    return _HOUR_S * len(times_s) / sum(times_s) if times_s else None
