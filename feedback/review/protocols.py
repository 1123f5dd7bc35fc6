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


def apply_protocol(reviews: Sequence[ReviewRow], tier: Tier) -> ProtocolResult:
    """Return the outcome of the counted reviews of a case under the protocol of its tier.

    single: the first review decides. panel: the answer of more than `min_agreement` of all decides, as soon as the
    reviews that are still to come cannot change that; the case escalates as soon as no answer can get there.
    two-reader: two equal answers decide; otherwise a third reviewer, who sees both, decides alone.

    `reviews` are the counted ones of one stay at the tier, oldest first.

    >>> from types import SimpleNamespace as Review
    >>> spam, ham = Answer("choices", ("spam",)), Answer("choices", ("ham",))
    >>> fixes = [Review(verdict="fix", answer=spam), Review(verdict="fix", answer=spam)]
    >>> apply_protocol(fixes, Tier(protocol="panel", panel=3)).note
    '2 of 3 reviewers agree'
    >>> apply_protocol([fixes[0], Review(verdict="accept", answer=ham)], Tier(protocol="panel", panel=3)).outcome
    'wait'
    """
    n_needed, answers = tier.n_reviewers, [_answer_key(review) for review in reviews]
    if tier.protocol == "two-reader" and len(answers) >= 2 and answers[0] != answers[1]:
        if len(answers) < 3:
            return ProtocolResult("wait", 3, note="two reviewers differ; a third decides")
        return _result_of(answers[2], 3, "the third reviewer decided")
    if answers and n_needed == 1:
        return _result_of(answers[0], 1, "")
    n_total = max(n_needed, len(answers))
    n_left = n_total - len(answers)
    ranked = Counter(answers).most_common(2)
    leader, most = ranked[0] if ranked else (None, 0)
    second = ranked[1][1] if len(ranked) > 1 else 0
    enough = tier.min_agreement * n_total
    if leader is not None and most > enough and most > second + n_left:
        return _result_of(leader, n_needed, f"{most} of {n_total} reviewers agree")
    if most + n_left > max(enough, second):
        return ProtocolResult("wait", n_needed, note=f"{len(answers)} of {n_needed} reviewers have answered")
    return ProtocolResult("escalate", n_needed, note=f"only {most} of {len(answers)} reviewers agree")


def _answer_key(review: ReviewRow) -> tuple[str, Answer | None]:
    """Return what is compared: two reviews agree when they give the same answer, or none with the same verdict."""
    if review.verdict in ("accept", "fix", "answer"):
        return ("answer", review.answer)
    return (review.verdict, None)


def _result_of(key: tuple[str, Answer | None], n_reviewers: int, note: str) -> ProtocolResult:
    kind, answer = key
    full_note = f"{note}: {kind}" if note and kind != "answer" else note
    return ProtocolResult(_OUTCOMES.get(kind, "decide"), n_reviewers, answer, full_note)
