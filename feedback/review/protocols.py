"""The protocols of a tier: the outcome of a case's reviews, also where reviewers disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from feedback.policy.tiers import Tier
from feedback.store import ReviewRow
from ml_backend.records import Answer

Outcome = Literal["wait", "decide", "none", "escalate", "guideline"]
_OUTCOMES: dict[str, Outcome] = {"reject": "none", "escalate": "escalate", "guideline": "guideline"}  # by verdict


@dataclass(frozen=True, slots=True)
class ProtocolResult:
    """The outcome of the reviews of a case."""

    outcome: Outcome  # "none": no answer is right
    n_reviewers: int  # that the case needs in total
    answer: Answer | None = None
    note: str = ""
    n_agreeing: int = 0


def apply_protocol(reviews: Sequence[ReviewRow], tier: Tier) -> ProtocolResult:
    """Return the outcome of the counted reviews of a case under the protocol of its tier.

    single: the first review decides. panel: when all have answered, the answer of more than `min_agreement` of them
    decides; without one the case escalates. two-reader: two equal answers decide; otherwise a third reviewer, who sees
    both, decides alone.

    `reviews` are the counted ones of one stay at the tier, oldest first.

    >>> from types import SimpleNamespace as Review
    >>> spam, ham = Answer("choices", ("spam",)), Answer("choices", ("ham",))
    >>> fixes = [Review(verdict="fix", answer=spam), Review(verdict="fix", answer=spam)]
    >>> apply_protocol([*fixes, Review(verdict="accept", answer=ham)], Tier(protocol="panel", panel=3)).note
    '2 of 3 reviewers agree'
    """
    n_needed = tier.n_reviewers
    if tier.protocol == "two-reader" and len(reviews) >= 2 and _answer_key(reviews[0]) != _answer_key(reviews[1]):
        if len(reviews) < 3:
            return ProtocolResult("wait", 3, note="two reviewers differ; a third decides")
        return _result_of(reviews[2], 3, "the third reviewer decided", 1)
    if len(reviews) < n_needed:
        return ProtocolResult("wait", n_needed, note=f"{len(reviews)} of {n_needed} reviewers have answered")
    if n_needed == 1:
        return _result_of(reviews[0], 1, "", 1)
    counts = Counter(_answer_key(review) for review in reviews)
    most = max(counts.values())
    leaders = [key for key, count in counts.items() if count == most]
    note = f"{most} of {len(reviews)} reviewers agree"
    if len(leaders) > 1 or most <= tier.min_agreement * len(reviews):
        return ProtocolResult("escalate", n_needed, note=f"only {note}", n_agreeing=most)
    leader = next(review for review in reviews if _answer_key(review) == leaders[0])
    return _result_of(leader, n_needed, note, most)


def _answer_key(review: ReviewRow) -> tuple[str, Answer | None]:
    """Return what is compared: two reviews agree when they give the same answer, or none with the same verdict."""
    if review.verdict in ("accept", "fix", "answer"):
        return ("answer", review.answer)
    return (review.verdict, None)


def _result_of(review: ReviewRow, n_reviewers: int, note: str, n_agreeing: int) -> ProtocolResult:
    kind, answer = _answer_key(review)
    full_note = f"{note}: {kind}" if note and kind != "answer" else note
    return ProtocolResult(_OUTCOMES.get(kind, "decide"), n_reviewers, answer, full_note, n_agreeing)
