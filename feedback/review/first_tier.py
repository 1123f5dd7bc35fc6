"""The first tier: cases of the source project itself, moved by what people vote, skip and settle there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from feedback.review.case_triggers import SKIPPED, blocked_reason
from feedback.review.case_workflow import CaseWorkflow
from feedback.review.errors import CaseMoved
from feedback.review.review_context import ReviewContext, in_current_round
from feedback.store import CaseRow, Skip, Vote
from feedback.training.dataset import Settled
from ml_backend.records import Answer


def settle_first_tier(context: ReviewContext) -> None:
    """Move the cases of the first tier by what people vote and skip in the source project."""
    agreed = {one.task: one for one in context.consensus_labels.settled}
    for case in context.list_open_cases(in_first_tier=True):
        try:
            after = _advance(
                context.workflow,
                case,
                in_current_round(case, context.votes.get(case.task, ())),
                in_current_round(case, context.skips.get(case.task, ())),
                agreed=agreed.get(case.task),
                wanting=case.task in context.consensus_labels.wanting,
            )
        except CaseMoved as error:
            context.result.notes.append(str(error))
            continue
        context.result.moved += after is not case
        context.result.resolved += after.state == "resolved"


def _advance(
    workflow: CaseWorkflow,
    case: CaseRow,
    votes: Sequence[Vote],
    skips: Sequence[Skip],
    *,
    agreed: Settled | None,
    wanting: bool,
) -> CaseRow:
    """Move one case of the first tier as far as its votes and skips say.

    `agreed` is what its votes settle, `wanting` whether another person is asked.
    """
    policy = workflow.policy
    if agreed is not None and votes:
        words = f"{agreed.votes} answered, {agreed.support:.0%} the same"
        body = {"answer": agreed.answer.key}
        return workflow.move(case, "settle", note=words, person=votes[-1].person, body=body, answer=agreed.answer)
    escalates = policy.tiers[case.tier].skip_means == "escalate"
    why = blocked_reason([vote.answer for vote in votes], wanting, escalates and bool(skips))
    if why is not None and policy.tier_after(case.tier) is not None:
        person = skips[-1].person if why[1] == SKIPPED and skips else None
        lead = leading_answer(votes)
        kept: dict[str, Any] = {"proposal": lead, "proposed_by": "people"} if lead is not None else {}
        return workflow.move(case, "escalate", note=why[0], person=person, why=why[0], rule=why[1], **kept)
    begun = [*((vote.at_s, vote.person) for vote in votes), *((skip.at_s, skip.person) for skip in skips)]
    if begun and case.started_s is None:
        at_s, person = min(begun)
        return workflow.move(case, "start", person=person, note="the first answer is there", body={"at_s": at_s})
    return case


def leading_answer(votes: Sequence[Vote]) -> Answer | None:
    """The answer that more people gave than any other; None for a tie."""
    counts: dict[Answer, int] = {}
    for vote in votes:
        counts[vote.answer] = counts.get(vote.answer, 0) + 1
    ordered = sorted(counts.values(), reverse=True)
    if not ordered or (len(ordered) > 1 and ordered[0] == ordered[1]):
        return None
    return max(counts, key=lambda answer: counts[answer])
