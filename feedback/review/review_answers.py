"""Reading: annotations in a review project become looks, each judged for whether it counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from feedback.policy import Policy
from feedback.review.cases import is_blind
from feedback.review.review_task_content import SKIP, read_said, refusal
from feedback.store import CaseRow, ReviewRow
from feedback.store.log.projections import epoch_s
from ml_backend.label_config import Control
from ml_backend.records import Annotation


@dataclass(frozen=True, slots=True)
class Staff:
    """Who people are: the e-mail address of each user of Label Studio, as the policy names people by it."""

    emails: Mapping[int, str]

    def exclusion(self, person: int | None, case: CaseRow, below: Collection[int | None], policy: Policy) -> str:
        """Why somebody may not decide a case; "" where they may. `below` are those who answered it in other tiers.

        Without any [people] in the policy everybody may look everywhere.
        """
        tier = policy.tiers[case.tier]
        if person in below and not tier.own_cases:
            return "has answered this case before, and nobody decides their own case"
        if not policy.people:
            return ""
        email = self.emails.get(person, "") if person is not None else ""
        listed = policy.person(email)
        if listed is None:
            return f"is not among the people of {case.tier}"
        if case.tier not in (listed.tiers or (policy.first_tier,)):
            return f"is not among the people of {case.tier}"
        missing = [skill for skill in (*tier.skills, *case.skills) if skill not in listed.skills]
        return f"lacks what this case needs: {', '.join(dict.fromkeys(missing))}" if missing else ""


def read_looks(
    case: CaseRow,
    annotations: Sequence[Annotation],
    control: Control,
    policy: Policy,
    staff: Staff,
    below: Collection[int | None],
) -> list[ReviewRow]:
    """The looks of one stay of a case at a tier, oldest first; of one person only the newest.

    Whether each counts is judged here and nowhere else.
    """
    newest: dict[int | None, Annotation] = {}
    for one in sorted(annotations, key=lambda one: (one.updated_at, one.id)):
        newest[one.person] = one
    blind = is_blind(case, policy)
    shown = None if blind else case.proposal
    looks: list[ReviewRow] = []
    for one in newest.values():
        said = read_said(one, control, policy)
        refused = ""
        if said.verdict != SKIP:
            refused = staff.exclusion(one.person, case, below, policy) or refusal(said, shown, case.tier, policy)
        answer = said.answer if said.answer is not None or said.verdict != "accept" else shown
        looks.append(
            ReviewRow(
                review_project=one.project,
                annotation=one.id,
                case=case.id,
                round=case.round,
                tier=case.tier,
                entered_s=case.entered_s,
                person=one.person,
                verdict=said.verdict,
                answer=answer,
                reason=said.reason,
                comment=said.comment,
                feedback=said.feedback,
                shown=shown,
                seen=one.updated_at,
                at_s=epoch_s(one.updated_at),
                lead_time_s=one.lead_time_s,
                counted=not refused and said.verdict != SKIP,
                refused=refused,
            )
        )
    return looks


def news(looks: Sequence[ReviewRow], known: Sequence[ReviewRow]) -> list[ReviewRow]:
    """The looks that were not kept before, or not as they are now."""
    seen = {look.annotation: (look.seen, look.counted, look.refused) for look in known}
    return [look for look in looks if seen.get(look.annotation) != (look.seen, look.counted, look.refused)]
