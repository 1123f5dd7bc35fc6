"""Whether enough people are left who may decide a case; where they are not, people are told instead of waiting."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from feedback.policy import Policy
from feedback.review.eligibility import NOBODY, Involved, exclusion_reason, find_involved
from feedback.review.notifications import record_notification
from feedback.review.protocols import apply_protocol
from feedback.review.review_context import ReviewContext
from feedback.review.review_task_content import SKIP, stay_key
from feedback.store import CaseRow, ReviewRow
from ml_backend.left_out import name_some

TOO_FEW = "too few readers"  # among the alarms of a case


class _People:
    """The users of Label Studio, by what cases ask of them."""

    def __init__(self, emails: Mapping[int, str], bots: Collection[int], policy: Policy) -> None:
        self.policy = policy
        self._emails = {person: email for person, email in emails.items() if person not in bots}
        self._found: dict[tuple[str, tuple[str, ...]], frozenset[int]] = {}  # few, while cases are many

    def who_may_answer(self, case: CaseRow) -> frozenset[int]:
        """Return who may answer cases of this tier that need these skills."""
        key = (case.tier, case.skills)
        if key not in self._found:
            self._found[key] = frozenset(
                person
                for person in self._emails
                if not exclusion_reason(self._emails, person, case, NOBODY, self.policy)
            )
        return self._found[key]


def tell_cases_without_readers(context: ReviewContext, list_emails: Callable[[], Mapping[int, str]]) -> None:
    """Record in each case of a review tier whether too few people are left who may decide it, and notify its tier.

    The note of the turn names these cases. A case can be decided again when people are added to the policy.
    """
    cases = [
        case
        for case in context.list_open_cases(in_first_tier=False)
        if case.state in ("queued", "started") and case.tier in context.policy.tiers
    ]
    emails = list_emails() if cases else {}
    if not emails:
        return  # Label Studio names nobody
    people = _People(emails, context.snapshot.project.bots, context.policy)
    reviews = context.store.reviews.list_reviews_of_cases([case.id for case in cases])
    skips = context.skips_on([case.task for case in cases])
    lacking: dict[str, list[CaseRow]] = {}
    for case in cases:
        involved = find_involved(
            case,
            context.policy,
            votes=context.votes_on(case.task),
            skips=skips.get(case.task, ()),
            reviews=reviews[case.id],
            current={review.annotation for review in reviews[case.id] if _is_current(case, review)},
        )
        missing = _count_missing(people, case, involved, reviews[case.id])
        if missing:
            lacking.setdefault(case.tier, []).append(case)
        if bool(missing) != (TOO_FEW in case.alarms):
            _record(context, case, missing)
    for tier, waiting in lacking.items():
        context.result.notes.append(_note(tier, waiting))


def _count_missing(people: _People, case: CaseRow, involved: Involved, reviews: Sequence[ReviewRow]) -> int:
    """Return how many readers a case lacks, who are not among the users of Label Studio; 0 where it can be decided."""
    current, tier = [review for review in reviews if _is_current(case, review)], people.policy.tiers[case.tier]
    counted = [review for review in current if review.counted]
    needed = max(1, apply_protocol(counted, tier).n_reviewers - len(counted))
    gone = {review.person for review in current if review.counted or review.verdict == SKIP} | involved.escalated
    if not tier.own_cases:
        gone |= involved.answered
    return max(0, needed - len(people.who_may_answer(case) - gone))


def _is_current(case: CaseRow, review: ReviewRow) -> bool:
    return (review.round, review.entered_s) == stay_key(case)


def _record(context: ReviewContext, case: CaseRow, missing: int) -> None:
    others = tuple(alarm for alarm in case.alarms if alarm != TOO_FEW)
    if not missing:
        context.move(case, "warn", note="enough people may decide it again", alarms=others)
        return
    people = "one person more" if missing == 1 else f"{missing} people more"
    needs = f"it needs {people} in {case.tier} who did not answer or escalate it before"
    why = f"too few people are left who may decide it: {needs}"
    moved = context.move(case, "warn", note=why, alarms=(*others, TOO_FEW))
    if moved is not None:
        targets = context.policy.tiers[case.tier].notify
        record_notification(context.store, moved, why, targets, now_s=context.workflow.now_s)


def _note(tier: str, cases: Sequence[CaseRow]) -> str:
    named = name_some([str(case.id) for case in cases], most=5)
    return (
        f"too few people are left who may decide {'case' if len(cases) == 1 else 'cases'} {named} at {tier}: "
        f"give more people this tier in [people] (hitl case {cases[0].id} says whom it needs)"
    )
