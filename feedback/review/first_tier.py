"""The first tier: cases whose task is the source project's own, moved by its votes, skips and consensus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from feedback.review.case_triggers import SKIPPED, blocked_reason
from feedback.review.review_context import ReviewContext, in_current_round
from feedback.store import CaseRow, Skip, Vote
from feedback.training.dataset import ConsensusLabel
from ml_backend.records import Answer


def move_first_tier_cases(context: ReviewContext) -> None:
    """Move the open cases of the first tier as far as the votes and skips in the source project allow."""
    cases = context.list_open_cases(in_first_tier=True)
    if not cases:
        return
    labels = {label.task: label for label in context.consensus_labels.settled}
    skips: dict[int, list[Skip]] = {}
    for skip in context.store.annotations.list_skips(context.project, tasks=[case.task for case in cases]):
        skips.setdefault(skip.task, []).append(skip)
    for case in cases:
        votes = in_current_round(case, context.votes_on(case.task))
        _move_case(context, case, votes, in_current_round(case, skips.get(case.task, ())), labels.get(case.task))


def leading_answer(votes: Sequence[Vote]) -> Answer | None:
    """Return the answer that more people gave than any other; None for a tie."""
    counts: dict[Answer, int] = {}
    for vote in votes:
        counts[vote.answer] = counts.get(vote.answer, 0) + 1
    ordered = sorted(counts.values(), reverse=True)
    if not ordered or (len(ordered) > 1 and ordered[0] == ordered[1]):
        return None
    return max(counts, key=lambda answer: counts[answer])


def _move_case(
    context: ReviewContext, case: CaseRow, votes: Sequence[Vote], skips: Sequence[Skip], label: ConsensusLabel | None
) -> None:
    """Settle, escalate or start a case by the consensus, votes and skips of its present round."""
    policy = context.policy
    if label is not None and votes:
        note = f"{label.votes} answered, {label.support:.0%} the same"
        body = {"answer": label.answer.key}
        context.move(case, "settle", note=note, person=votes[-1].person, body=body, answer=label.answer)
        return
    skipped = bool(skips) and policy.tiers[case.tier].skip_means == "escalate"
    wants_votes = case.task in context.consensus_labels.needs_more_votes
    blocked = blocked_reason(len(votes), wants_votes=wants_votes, skipped=skipped)
    if blocked is not None and policy.tier_after(case.tier) is not None:
        why, rule = blocked
        person = skips[-1].person if rule == SKIPPED else None
        leading = leading_answer(votes)
        proposal: dict[str, Any] = {"proposal": leading, "proposed_by": "people"} if leading is not None else {}
        context.move(case, "escalate", note=why, person=person, why=why, rule=rule, **proposal)
        return
    actions = [*((vote.at_s, vote.person) for vote in votes), *((skip.at_s, skip.person) for skip in skips)]
    if actions and case.started_s is None:
        at_s, person = min(actions)
        context.move(case, "start", person=person, note="the first answer is there", body={"at_s": at_s})
