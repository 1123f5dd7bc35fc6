"""Reading reviewers' annotations: verdict, answer, reason and feedback, and whether the review counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from feedback.policy import Policy
from feedback.review.case_workflow import is_blind
from feedback.review.eligibility import Eligibility
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


@dataclass(frozen=True, slots=True)
class ParsedReview:
    """The fields of one annotation in a review project, not yet validated."""

    verdict: str  # "" where none was given
    answer: Answer | None
    reason: str
    comment: str
    feedback: Mapping[str, Any] = field(hash=False)  # answers to the policy's questions, by name


def read_reviews(
    case: CaseRow,
    annotations: Sequence[Annotation],
    control: Control,
    policy: Policy,
    eligibility: Eligibility,
    answered_before: Collection[int | None],
) -> list[ReviewRow]:
    """Return the reviews of one stay of a case at a tier: the newest of each person, oldest first.

    Only this function decides whether a review counts. `answered_before` are people who answered in other tiers.
    """
    newest: dict[int | None, Annotation] = {}
    for annotation in sorted(annotations, key=lambda annotation: (annotation.updated_at, annotation.id)):
        newest[annotation.person] = annotation
    shown = None if is_blind(case, policy) else case.proposal
    reviews: list[ReviewRow] = []
    for annotation in newest.values():
        parsed = parse_review(annotation, control, policy)
        refused = ""
        if parsed.verdict != SKIP:
            refused = eligibility.exclusion_reason(annotation.person, case, answered_before, policy)
            refused = refused or invalid_reason(parsed, shown, case.tier, policy)
        if parsed.answer is None and parsed.verdict == "accept":
            parsed = replace(parsed, answer=shown)
        review = review_row(annotation, parsed, case=case.id, round_number=case.round, tier=case.tier)
        counted = not refused and parsed.verdict != SKIP
        reviews.append(replace(review, entered_s=case.entered_s, shown=shown, counted=counted, refused=refused))
    return reviews


def review_row(annotation: Annotation, parsed: ParsedReview, *, case: int, round_number: int, tier: str) -> ReviewRow:
    """Return an annotation as the row of a review that does not count and was shown no answer."""
    return ReviewRow(
        review_project=annotation.project,
        annotation=annotation.id,
        case=case,
        round=round_number,
        tier=tier,
        entered_s=0.0,
        person=annotation.person,
        verdict=parsed.verdict,
        answer=parsed.answer,
        reason=parsed.reason,
        comment=parsed.comment,
        feedback=parsed.feedback,
        annotation_version=annotation.updated_at,
        at_s=epoch_s(annotation.updated_at),
        lead_time_s=annotation.lead_time_s,
    )


def new_reviews(reviews: Sequence[ReviewRow], saved: Sequence[ReviewRow]) -> list[ReviewRow]:
    """Return the reviews that are not saved, or not in their present version."""
    versions = {review.annotation: (review.annotation_version, review.counted, review.refused) for review in saved}
    return [
        review
        for review in reviews
        if versions.get(review.annotation) != (review.annotation_version, review.counted, review.refused)
    ]


def parse_review(annotation: Annotation, control: Control, policy: Policy) -> ParsedReview:
    """Read the fields of a reviewer's annotation; a field that cannot be read is empty."""
    if annotation.was_cancelled:
        return ParsedReview(SKIP, None, "", _comment_text(annotation), {})
    regions = _regions(annotation)
    answers = decode_result([region for region in regions if region.get("from_name") == control.name]).answers
    feedback = {name: value for name in policy.feedback if (value := answer_to_question(name, regions)) is not None}
    return ParsedReview(
        verdict=_first_text(_region_value(regions, VERDICT)),
        answer=answers.get(control.name),
        reason=_first_text(_region_value(regions, REASON)),
        comment=_comment_text(annotation),
        feedback=feedback,
    )


def answer_to_question(question: str, regions: Sequence[Mapping[str, Any]]) -> Any:
    """Return the answer to one of the policy's questions: a text, a number or a list of texts; None for no answer.

    It is read from our control, or else from a control of the source project with the question's name.
    """
    value = _region_value(regions, f"{ASKED_PREFIX}{question}")
    return _region_value(regions, question) if value is None else value


def invalid_reason(parsed: ParsedReview, shown: Answer | None, tier: str, policy: Policy) -> str:
    """Return why a review is invalid; "" where it is valid. Its verdict must agree with its answer.

    >>> ham = Answer("choices", ("ham",))
    >>> invalid_reason(ParsedReview("accept", ham, "", "", {}), Answer("choices", ("spam",)), "L1", Policy())
    'accepts, but gives another answer than the one that was shown'
    """
    allowed = allowed_verdicts(tier, policy)
    if parsed.verdict == "":
        return f"gives no verdict; wanted one of {', '.join(allowed)}"
    if parsed.verdict not in allowed:
        return f"verdict {parsed.verdict!r} is not allowed at {tier}; allowed: {', '.join(allowed)}"
    if problem := _contradiction(parsed, shown):
        return problem
    if parsed.verdict not in NEEDS_NO_REASON and parsed.reason not in policy.reasons:
        problem = f"an unknown reason {parsed.reason!r}" if parsed.reason else "no reason"
        return f"gives {problem}; wanted one of {', '.join(policy.reasons)}"
    required = [name for name, question in policy.feedback.items() if question.required]
    if missing := [name for name in required if name not in parsed.feedback]:
        return f"leaves {', '.join(missing)} unanswered"
    return ""


def _contradiction(parsed: ParsedReview, shown: Answer | None) -> str:
    """Return how verdict and answer contradict each other; "" where they agree."""
    changed = parsed.answer is not None and parsed.answer != shown
    if parsed.verdict == "accept":
        if shown is None:
            return "accepts, but nothing was shown"
        return "accepts, but gives another answer than the one that was shown" if changed else ""
    if parsed.verdict == "fix" and not changed:
        return "fixes, but leaves the answer as it was shown" if parsed.answer else "fixes, but gives no answer"
    if parsed.verdict == ANSWER and parsed.answer is None:
        return "gives no answer"
    if parsed.verdict == "reject" and changed:
        return "rejects, but gives another answer: that is a fix"
    return ""


def _regions(annotation: Annotation) -> list[Mapping[str, Any]]:
    return [region for region in annotation.result if isinstance(region, Mapping)]


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


def _comment_text(annotation: Annotation) -> str:
    value = _region_value(_regions(annotation), COMMENT)
    lines = value if isinstance(value, list) else [value]
    return "\n".join(line for line in lines if isinstance(line, str)).strip()
