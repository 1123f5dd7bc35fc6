"""Right and wrong: the model held against people by label, and each reviewer against what others say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from feedback.review.honeypots import HONEYPOT_ROUND as HONEYPOT
from feedback.review.review_task_content import format_answer
from feedback.stats import Interval
from feedback.stats.intervals import wilson
from feedback.store import CaseRow, OverrideRow, ReviewRow, Vote

_MAX_LEAD_TIME_S = 3600.0  # a longer lead time is a tab left open over lunch
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """How often the model was wrong about one label, held against what people decided."""

    label: str
    false_positive: Interval  # share of answers that were not this label on which the model said it
    false_negative: Interval  # share of answers that were this label on which the model said another


@dataclass(frozen=True, slots=True)
class ReviewerAccuracy:
    """One reviewer held against others: of the same panel, of the tier above, or a second look."""

    person: int
    n_reviews: int
    refused: int
    compared: int
    accuracy: Interval  # share of compared answers that the others gave, too
    reviews_per_hour: float | None


def compute_label_errors(rows: Iterable[OverrideRow], *, blind: bool | None = None) -> list[LabelErrors]:
    """False positives and negatives of the model by label, one row a human answer; newest answers of a task win.

    `blind=True` keeps only answers of people who saw nothing: what is shown pulls people to itself.
    """
    newest: dict[int, OverrideRow] = {}
    for row in sorted(rows, key=lambda row: (row.at_s, row.annotation)):
        if row.shown is not None and blind in (None, row.blind):
            newest[row.task] = row
    pairs = [(format_answer(row.shown), format_answer(row.answer)) for row in newest.values()]
    return [_label_errors(label, pairs) for label in sorted({label for pair in pairs for label in pair})]


def _label_errors(label: str, pairs: Sequence[tuple[str, str]]) -> LabelErrors:
    others = [said for said, right in pairs if right != label]
    own = [said for said, right in pairs if right == label]
    return LabelErrors(
        label,
        wilson(sum(said == label for said in others), len(others)),
        wilson(sum(said != label for said in own), len(own)),
    )


def compute_reviewer_accuracy(
    cases: Sequence[CaseRow], reviews: Sequence[ReviewRow], *, of: Sequence[ReviewRow] | None = None
) -> list[ReviewerAccuracy]:
    """Each reviewer against the final answer that others alone would have given; those who most surely err first.

    Leave-one-out: a final answer counts as a comparison only where somebody else's look gave it, so that nobody's own
    vote confirms itself. A honeypot always compares. `of` are the looks to be judged, where not all: those of one tier.
    """
    judged = reviews if of is None else of
    of_case = {case.id: case for case in cases}
    by_case: dict[int, list[ReviewRow]] = {}
    for review in reviews:
        by_case.setdefault(review.case, []).append(review)
    found: list[ReviewerAccuracy] = []
    for person in sorted({review.person for review in judged if review.person is not None}):
        mine = [review for review in judged if review.person == person]
        right = compared = 0
        for review in mine:
            case = of_case.get(review.case)
            if review.round == HONEYPOT and case is not None:
                compared += 1
                right += review.answer == case.answer
                continue
            if not review.counted or review.answer is None or case is None or case.answer is None:
                continue
            others = [one for one in by_case[review.case] if one.person != person and one.counted]
            if any(one.answer == case.answer for one in others) or _contradicted_by(others, review):
                compared += 1
                right += review.answer == case.answer
        refused = sum(bool(review.refused) for review in mine)
        found.append(
            ReviewerAccuracy(
                person, len(mine), refused, compared, wilson(right, compared), reviews_per_hour(lead_times_s(mine))
            )
        )
    return sorted(found, key=lambda one: (one.accuracy.high, one.person))


def votes_as_reviews(votes: Iterable[Vote], cases: Sequence[CaseRow], first_tier: str) -> list[ReviewRow]:
    """Votes in the source project as looks of the first tier, so that all tiers are measured alike."""
    of_task = {case.task: case for case in cases}
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
            reason="",
            comment="",
            feedback={},
            shown=None,
            annotation_version="",
            at_s=vote.at_s,
            lead_time_s=vote.lead_time_s,
            counted=True,
            refused="",
        )
        for vote in votes
        if (case := of_task.get(vote.task)) is not None
    ]


def _contradicted_by(others: Sequence[ReviewRow], review: ReviewRow) -> bool:
    """Whether others agree among themselves on another answer than this look."""
    answers = {one.answer for one in others if one.answer is not None}
    return len(answers) == 1 and review.answer not in answers and len(others) > 1


def lead_times_s(reviews: Iterable[ReviewRow]) -> list[float]:
    """Seconds that each look took, as far as somebody was at it."""
    return [review.lead_time_s for review in reviews if review.lead_time_s and review.lead_time_s <= _MAX_LEAD_TIME_S]


def lead_time_or(review: ReviewRow, usual_s: float) -> float:
    """Seconds that a look took, or takes usually."""
    return review.lead_time_s if review.lead_time_s and review.lead_time_s <= _MAX_LEAD_TIME_S else usual_s


def reviews_per_hour(times_s: Sequence[float]) -> float | None:
    """Looks that one hour of work yields; None where none was timed."""
    return _HOUR_S * len(times_s) / sum(times_s) if times_s else None
