"""Reading reviewers' annotations: verdict, answer, reason and feedback, and whether the review counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from feedback.policy import Policy
from feedback.review.eligibility import Involved, exclusion_reason
from feedback.review.review_task_content import (
    ANSWER,
    ASKED_PREFIX,
    COMMENT,
    NEEDS_NO_REASON,
    REASON,
    SKIP,
    VERDICT,
    allowed_verdicts,
)
from feedback.store import CaseRow, ReviewRow
from feedback.store.log.projections import epoch_s
from ml_backend.codecs import decode_result
from ml_backend.label_config import Control
from ml_backend.records import Annotation, Answer


def read_reviews(
    case: CaseRow,
    annotations: Sequence[tuple[Annotation, bool]],
    control: Control,
    policy: Policy,
    emails: Mapping[int, str],
    involved: Involved,
) -> list[ReviewRow]:
    """Return the reviews of one stay of a case at a tier: the newest of each person, oldest first.

    Only this function decides whether a review counts. Each annotation comes with whether its review task was blind;
    `emails` are addresses by user id; `involved` are the people who have dealt with the case before.
    """
    newest: dict[int | None, tuple[Annotation, bool]] = {}
    for annotation, is_blind in sorted(annotations, key=lambda pair: (pair[0].updated_at, pair[0].id)):
        newest[annotation.person] = annotation, is_blind
    reviews: list[ReviewRow] = []
    for annotation, is_blind in newest.values():
        shown = None if is_blind else case.proposal
        review = parse_review(annotation, control, policy, case=case.id, round_number=case.round, tier=case.tier)
        refused = ""
        if review.verdict != SKIP:
            refused = exclusion_reason(emails, annotation.person, case, involved, policy)
            if case.measures and not is_blind:
                refused = refused or "saw the proposed answer, and this case counts blind answers only"
            refused = refused or invalid_reason(review, shown, policy)
        counted = not refused and review.verdict != SKIP
        answer = shown if review.answer is None and review.verdict == "accept" else review.answer
        reviews.append(
            replace(review, entered_s=case.entered_s, answer=answer, shown=shown, counted=counted, refused=refused)
        )
    return reviews


def new_reviews(reviews: Sequence[ReviewRow], saved: Sequence[ReviewRow]) -> list[ReviewRow]:
    """Return the reviews that are not saved, or not in their present version."""
    versions = {review.annotation: (review.annotation_version, review.counted, review.refused) for review in saved}
    return [
        review
        for review in reviews
        if versions.get(review.annotation) != (review.annotation_version, review.counted, review.refused)
    ]


def parse_review(
    annotation: Annotation, control: Control, policy: Policy, *, case: int, round_number: int, tier: str
) -> ReviewRow:
    """Return a reviewer's annotation as a review that does not count yet; a field that cannot be read is empty."""
    skipped = annotation.was_cancelled
    regions = [region for region in annotation.result if isinstance(region, Mapping)]
    answers = decode_result([region for region in regions if region.get("from_name") == control.name]).answers
    feedback = {name: value for name in policy.feedback if (value := answer_to_question(name, regions)) is not None}
    verdict = SKIP if skipped else _first_text(_region_value(regions, VERDICT))
    return ReviewRow(
        review_project=annotation.project,
        annotation=annotation.id,
        case=case,
        round=round_number,
        tier=tier,
        entered_s=0.0,
        person=annotation.person,
        verdict=verdict,
        answer=None if skipped else answers.get(control.name),
        reason="" if skipped else _read_reason(verdict, regions, policy),
        comment=_all_texts(_region_value(regions, COMMENT)),
        feedback={} if skipped else feedback,
        annotation_version=annotation.updated_at,
        at_s=epoch_s(annotation.updated_at),
        lead_time_s=annotation.lead_time_s,
    )


def _read_reason(verdict: str, regions: Sequence[Mapping[str, Any]], policy: Policy) -> str:
    """Return the reason code of a review; where the policy has a single one, reviewers are not asked for it."""
    single = next(iter(policy.reasons)) if len(policy.reasons) == 1 and verdict not in ("", *NEEDS_NO_REASON) else ""
    return _first_text(_region_value(regions, REASON)) or single


def answer_to_question(question: str, regions: Sequence[Mapping[str, Any]]) -> Any:
    """Return the answer to one of the policy's questions: a text, a number or a list of texts; None for no answer.

    It is read from our control, or else from a control of the source project with the question's name.
    """
    value = _region_value(regions, f"{ASKED_PREFIX}{question}")
    return _region_value(regions, question) if value is None else value


def invalid_reason(review: ReviewRow, shown: Answer | None, policy: Policy) -> str:
    """Return why a review is invalid; "" where it is valid. Its verdict must agree with its answer.

    >>> ham = Answer("choices", ("ham",))
    >>> review = ReviewRow("9", 1, 1, 1, "L1", 0.0, 7, "accept", ham)
    >>> invalid_reason(review, Answer("choices", ("spam",)), Policy())
    'accepts, but gives another answer than the one that was shown'
    """
    allowed = allowed_verdicts(review.tier, policy)
    if review.verdict == "":
        return f"gives no verdict; wanted one of {', '.join(allowed)}"
    if review.verdict not in allowed:
        return f"verdict {review.verdict!r} is not allowed at {review.tier}; allowed: {', '.join(allowed)}"
    if problem := _contradiction(review, shown):
        return problem
    if review.verdict not in NEEDS_NO_REASON and review.reason not in policy.reasons:
        problem = f"an unknown reason {review.reason!r}" if review.reason else "no reason"
        return f"gives {problem}; wanted one of {', '.join(policy.reasons)}"
    required = [name for name, question in policy.feedback.items() if question.required]
    if missing := [name for name in required if name not in review.feedback]:
        return f"leaves {', '.join(missing)} unanswered"
    return ""


def _contradiction(review: ReviewRow, shown: Answer | None) -> str:
    """Return how verdict and answer contradict each other; "" where they agree."""
    changed = review.answer is not None and review.answer != shown
    if review.verdict == "accept":
        if shown is None:
            return "accepts, but nothing was shown"
        return "accepts, but gives another answer than the one that was shown" if changed else ""
    if review.verdict == "fix" and not changed:
        return "fixes, but leaves the answer as it was shown" if review.answer else "fixes, but gives no answer"
    if review.verdict == ANSWER and review.answer is None:
        return "gives no answer"
    if review.verdict == "reject" and changed:
        return "rejects, but gives another answer: that is a fix"
    return ""


def _region_value(regions: Sequence[Mapping[str, Any]], control: str) -> Any:
    """Return the value of a control: a text, a number or a list of texts; None where it is empty."""
    for region in regions:
        value = region.get("value")
        if region.get("from_name") == control and isinstance(value, Mapping):
            found = next((value[kind] for kind in ("choices", "text", "number", "rating") if kind in value), None)
            if found not in (None, [], ""):
                return found
    return None


def _first_text(value: Any) -> str:
    first = value[0] if isinstance(value, list) and value else value
    return first if isinstance(first, str) else ""


def _all_texts(value: Any) -> str:
    lines = value if isinstance(value, list) else [value]
    return "\n".join(line for line in lines if isinstance(line, str)).strip()
