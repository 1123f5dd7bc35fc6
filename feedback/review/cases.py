"""Cases: opened once for a task, moved along the table and nowhere else, each move with the clocks that it sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from feedback.errors import PolicyError
from feedback.policy import Policy
from feedback.policy.rules import PRIORITIES
from feedback.policy.tiers import Calendar
from feedback.review import sla
from feedback.review.errors import CaseMoved, NoSuchMove
from feedback.review.state_machine import Event, move
from feedback.store import CaseEvent, CaseRow, ReviewRow, Store
from ml_backend.records import Answer

SECOND_LOOK = "second look"  # the rule of cases that a draw opened: whoever looks sees nothing of what was said
ON_REQUEST = "human review"  # the rule of cases that somebody asked for
ESCALATED = "escalated"  # the rule of cases that came from the tier below


@dataclass(frozen=True, slots=True)
class Need:
    """A task that wants a case, and all that the case is to know from the start."""

    task: int
    tier: str
    why: str  # in words, for whoever decides and for whoever is affected
    rule: str = ""
    priority: str = "normal"
    skills: tuple[str, ...] = ()
    segment: str = "default"
    proposal: Answer | None = None
    proposed_by: str = ""
    confidence: float | None = None
    model: str = ""
    within_s: float = 0.0  # a promise that may be shorter than the tier's clock; 0 for none


class Book:
    """The cases of one project under one policy; `now_s` is the moment at which everything here happens."""

    def __init__(self, store: Store, project: str, policy: Policy, *, now_s: float) -> None:
        self._store = store
        self.project = project
        self._hash = policy.hash
        self.policy = policy
        self.now_s = now_s

    def open(self, needs: Iterable[Need]) -> list[CaseRow]:
        """Open cases for tasks that have none; gives the new ones."""
        return self._store.open_cases([self._fresh(need) for need in needs], "open")

    def reopen(self, case: CaseRow, need: Need) -> CaseRow:
        """Begin another round of a case, at the tier that the need names."""
        fresh = self._fresh(need)
        kept = {name: getattr(case, name) for name in ("id", "version", "state", "opened_s", "copies", "breaches")}
        event: Event = "open" if case.state == "bot" else "reopen"
        begun = replace(fresh, **kept, round=case.round + (event == "reopen"))
        return self.move(begun, event, tier=need.tier, note=need.why, within_s=need.within_s)

    def move(
        self,
        case: CaseRow,
        event: Event,
        *,
        tier: str = "",
        note: str = "",
        person: int | None = None,
        looks: Sequence[ReviewRow] = (),
        body: Mapping[str, Any] | None = None,
        within_s: float = 0.0,
        **changes: Any,
    ) -> CaseRow:
        """Move a case; gives it as it is now.

        NoSuchMove where the table has no such row, CaseMoved where somebody else moved it since it was read.
        """
        row = move(case.state, event)  # type: ignore[arg-type]  # what is stored came from the table
        where = case.tier
        if row.tier != "same":
            where = tier or (self._above(case.tier) if row.tier == "above" else case.tier)
        after = replace(self._effects(case, event, where, within_s), state=row.after, tier=where, **changes)
        step = CaseEvent(self.now_s, event, row.after, where, person, note, body or {})
        if not self._store.move_case(after, case.version, step, looks):
            raise CaseMoved(f"case {case.id} was moved by somebody else meanwhile.")
        return replace(after, version=case.version + 1)

    def calendar(self, tier: str) -> Calendar | None:
        """In whose hours the clocks of a tier run; None: always."""
        name = self.policy.tiers[tier].calendar if tier in self.policy.tiers else None
        return self.policy.calendars[name] if name else None

    def _effects(self, case: CaseRow, event: Event, tier: str, within_s: float) -> CaseRow:
        """What a move does beside the state: clocks, and the copy in the review project."""
        if event in ("open", "escalate", "recall", "reassign", "reopen"):
            if tier not in self.policy.tiers:
                known = ", ".join(self.policy.tiers)
                raise PolicyError(f"case {case.id} goes to tier {tier!r}; the policy has {known}.")
            entered = sla.enter(case, self.policy.tiers[tier], self.calendar(tier), self.now_s, within_s=within_s)
            return replace(entered, review_project="", review_task=None, policy=self._hash)
        if event == "promise":
            return sla.promise(case, self.calendar(tier), self.now_s, within_s)
        if event in ("start", "look", "refuse"):
            return replace(case, started_s=self.now_s if case.started_s is None else case.started_s)
        if event == "ask":
            return sla.pause(case, self.now_s)
        if event == "answered":
            resumed = sla.resume(case, self.calendar(case.tier), self.now_s)
            return replace(resumed, review_project="", review_task=None)
        if event == "decide":
            return replace(case, decided_s=self.now_s, paused_s=None)
        if event == "settle":
            return replace(case, decided_s=self.now_s, resolved_s=self.now_s)
        if event == "write":
            return replace(case, resolved_s=self.now_s)
        return case

    def _above(self, tier: str) -> str:
        above = self.policy.tier_after(tier) if tier in self.policy.tiers else None
        if above is None:
            raise NoSuchMove(f"there is no tier above {tier}; the policy has {', '.join(self.policy.tiers)}.")
        return above

    def _fresh(self, need: Need) -> CaseRow:
        case = CaseRow(
            project=self.project,
            task=need.task,
            state="queued",
            tier=need.tier,
            priority=urgency(need.priority),
            why=need.why,
            rule=need.rule,
            skills=need.skills,
            policy=self._hash,
            segment=need.segment,
            proposal=need.proposal,
            proposed_by=need.proposed_by,
            confidence=need.confidence,
            model=need.model,
            opened_s=self.now_s,
        )
        tier = self.policy.tiers[need.tier]
        return sla.enter(case, tier, self.calendar(need.tier), self.now_s, within_s=need.within_s)


def urgency(priority: str) -> float:
    """A priority of the policy as cases are ordered by it: 0 is urgent, 1 is low.

    >>> urgency("urgent"), urgency("low")
    (0.0, 1.0)
    """
    return PRIORITIES.index(priority) / (len(PRIORITIES) - 1) if priority in PRIORITIES else 0.5


def is_blind(case: CaseRow, policy: Policy) -> bool:
    """Whether the reviewer sees nothing of what was said before.

    Who asks for a person is owed one who sees everything, in a blind tier, too.
    """
    blind = case.tier in policy.tiers and policy.tiers[case.tier].blind and case.rule != ON_REQUEST
    return case.rule == SECOND_LOOK or blind
