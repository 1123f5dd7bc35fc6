"""Accuracy by comparison: the model with people's answers by label, and each reviewer with other reviewers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from feedback.review.honeypots import HONEYPOT_ROUND
from feedback.review.review_task_content import format_answer
from feedback.stats.intervals import Interval, wilson
from feedback.store import CaseRow, OverrideRow, ReviewRow, Vote

_MAX_LEAD_TIME_S = 3600.0  # a longer lead time is that of a forgotten browser tab
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """The model's errors on one label, compared with people's answers."""

    label: str
    false_positive: Interval  # share of the answers with other labels for which the model predicted this one
    false_negative: Interval  # share of the answers with this label for which the model predicted another one


@dataclass(frozen=True, slots=True)
class ReviewerAccuracy:
    """One reviewer compared with others: of the same panel, of the tier above, or of a second look."""

    person: int
    n_reviews: int
    refused: int
    compared: int
    accuracy: Interval  # share of the compared answers that are the final one
    reviews_per_hour: float | None


def compute_label_errors(rows: Iterable[OverrideRow], *, blind: bool | None = None) -> list[LabelErrors]:
    """Return the model's false positives and false negatives by label; of each task only the newest answer counts.

    `blind=True` takes only answers of people who saw no answer, since a shown answer influences them.
    """
    newest: dict[int, OverrideRow] = {}
    for row in sorted(rows, key=lambda row: (row.at_s, row.annotation)):
        if row.shown is not None and blind in (None, row.blind):
            newest[row.task] = row
    pairs = [(format_answer(row.shown), format_answer(row.answer)) for row in newest.values()]
    return [_label_errors(label, pairs) for label in sorted({label for pair in pairs for label in pair})]


def _label_errors(label: str, pairs: Sequence[tuple[str, str]]) -> LabelErrors:
    others = [predicted for predicted, correct in pairs if correct != label]
    own = [predicted for predicted, correct in pairs if correct == label]
    return LabelErrors(
        label,
        wilson(sum(predicted == label for predicted in others), len(others)),
        wilson(sum(predicted != label for predicted in own), len(own)),
    )


def compute_reviewer_accuracy(
    cases: Sequence[CaseRow], reviews: Sequence[ReviewRow], *, of: Sequence[ReviewRow] | None = None
) -> list[ReviewerAccuracy]:
    """Return the accuracy of each reviewer against final answers, the least accurate first (by the upper bound).

    Leave-one-out: a final answer is compared only if another person's review gave it, or all others agree against the
    reviewer; otherwise one's own answer would confirm itself. A honeypot is always compared.

    `of` are the reviews whose authors are measured, for example those of one tier; None for all.
    """
    measured = reviews if of is None else of
    case_by_id = {case.id: case for case in cases}
    by_case: dict[int, list[ReviewRow]] = {}
    for review in reviews:
        by_case.setdefault(review.case, []).append(review)
    found: list[ReviewerAccuracy] = []
    for person in sorted({review.person for review in measured if review.person is not None}):
        own = [review for review in measured if review.person == person]
        correct = compared = 0
        for review in own:
            case = case_by_id.get(review.case)
            others = [other for other in by_case[review.case] if other.person != person and other.counted]
            if case is not None and _is_comparable(review, case, others):
                compared += 1
                correct += review.answer == case.answer
        refused = sum(bool(review.refused) for review in own)
        rate = reviews_per_hour(lead_times_s(own))
        found.append(ReviewerAccuracy(person, len(own), refused, compared, wilson(correct, compared), rate))
    return sorted(found, key=lambda row: (row.accuracy.high, row.person))


def votes_as_reviews(votes: Iterable[Vote], cases: Sequence[CaseRow], first_tier: str) -> list[ReviewRow]:
    """Return the votes in the source project as reviews of the first tier, so that all tiers are measured alike."""
    case_of_task = {case.task: case for case in cases}
    return [
        ReviewRow(
            review_project=case.project,
            annotation=vote.annotation,
            case=case.id,
            round=1,
            tier=first_tier,
            entered_s=case.opened_s,
            person=vote.person,
            verdict="answer",
            answer=vote.answer,
            at_s=vote.at_s,
            lead_time_s=vote.lead_time_s,
            counted=True,
        )
        for vote in votes
        if (case := case_of_task.get(vote.task)) is not None
    ]


def _is_comparable(review: ReviewRow, case: CaseRow, others: Sequence[ReviewRow]) -> bool:
    """Return whether other people's counted reviews tell if the review is right, or the case is a honeypot."""
    if review.round == HONEYPOT_ROUND:
        return True
    if not review.counted or review.answer is None or case.answer is None:
        return False
    given = {other.answer for other in others if other.answer is not None}
    return case.answer in given or (len(given) == 1 and review.answer not in given and len(others) > 1)


def lead_times_s(reviews: Iterable[ReviewRow]) -> list[float]:
    """Return the plausible lead times of the reviews, in seconds."""
    return [time_s for review in reviews if (time_s := lead_time_s(review))]


def lead_time_s(review: ReviewRow) -> float | None:
    """Return the lead time of a review in seconds; None where it has no plausible one."""
    return review.lead_time_s if review.lead_time_s and review.lead_time_s <= _MAX_LEAD_TIME_S else None


def reviews_per_hour(times_s: Sequence[float]) -> float | None:
    """Return the reviews per hour of working time; None if none was timed."""
    return _HOUR_S * len(times_s) / sum(times_s) if times_s else None
