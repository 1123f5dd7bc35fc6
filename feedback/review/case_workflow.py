"""Opening and moving cases: every move follows the state machine, sets the SLA clocks and is recorded as an event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from feedback.errors import PolicyError
from feedback.policy import Policy
from feedback.policy.calendars import Calendar
from feedback.policy.rules import PRIORITIES
from feedback.review import sla_clock
from feedback.review.state_machine import CaseMoved, Event, NoSuchMove, transition_for
from feedback.store import CaseEvent, CaseRow, ReviewRow, Store

# the rule of cases that no rule of the policy opened
SECOND_LOOK = "second look"  # drawn at random; the reviewer sees no earlier answer
ON_REQUEST = "human review"  # somebody asked for a person
ESCALATED = "escalated"  # it came from the tier below


class CaseWorkflow:
    """Opens and moves the cases of one project under one policy; every event is recorded at `now_s`."""

    def __init__(self, store: Store, project: str, policy: Policy, *, now_s: float) -> None:
        self._store = store
        self.project = project
        self._hash = policy.hash
        self.policy = policy
        self.now_s = now_s

    def open(self, cases: Iterable[CaseRow], *, within_s: float = 0.0) -> list[CaseRow]:
        """Open these cases, each only if its task has none; return those that were opened.

        `within_s` are the business seconds in which a decision is promised; 0 for no promise.
        """
        opened = [self._with_effects(replace(case, opened_s=self.now_s), "open", case.tier, within_s) for case in cases]
        return self._store.cases.create_cases(opened, "open")

    def reopen(self, case: CaseRow, new: CaseRow, *, within_s: float = 0.0) -> CaseRow:
        """Start another round of a case, which begins as `new` does."""
        unchanged = {name: getattr(case, name) for name in ("id", "version", "state", "opened_s", "copies", "breaches")}
        event: Event = "open" if case.state == "automated" else "reopen"
        started = replace(new, **unchanged, round=case.round + (event == "reopen"))
        return self.move(started, event, tier=new.tier, note=new.why, within_s=within_s)

    def move(
        self,
        case: CaseRow,
        event: Event,
        *,
        tier: str = "",
        note: str = "",
        person: int | None = None,
        reviews: Sequence[ReviewRow] = (),
        body: Mapping[str, Any] | None = None,
        within_s: float = 0.0,
        **changes: Any,
    ) -> CaseRow:
        """Move a case by one event; return the case as it is after it.

        Parameters
        ----------
        tier
            The new tier, where the transition leaves it open.
        reviews
            Reviews that are saved in the same transaction.
        within_s
            Business seconds in which a decision is promised; 0 for no promise.
        changes
            Further fields of the case.

        Raises
        ------
        NoSuchMove
            If the state machine has no such transition.
        CaseMoved
            If the case was moved by somebody else since it was read.
        """
        transition = transition_for(case.state, event)  # type: ignore[arg-type]  # stored states are those of the table
        new_tier = case.tier
        if transition.tier != "same":
            new_tier = tier or (self._tier_above(case.tier) if transition.tier == "above" else case.tier)
        moved = replace(self._with_effects(case, event, new_tier, within_s), state=transition.to_state, tier=new_tier)
        moved = replace(moved, **changes)
        row = CaseEvent(self.now_s, event, transition.to_state, new_tier, person, note, body or {})
        if not self._store.cases.update_case(moved, case.version, row, reviews):
            raise CaseMoved(f"case {case.id} was moved by somebody else meanwhile.")
        return replace(moved, version=case.version + 1)

    def calendar(self, tier: str) -> Calendar | None:
        """Return the calendar that the clocks of a tier follow; None where every second counts."""
        name = self.policy.tiers[tier].calendar if tier in self.policy.tiers else None
        return self.policy.calendars[name] if name else None

    def _with_effects(self, case: CaseRow, event: Event, tier: str, within_s: float) -> CaseRow:
        """Return the case with the clocks and the review task as the event leaves them."""
        if event in ("open", "escalate", "recall", "reassign", "reopen"):
            if tier not in self.policy.tiers:
                tiers = ", ".join(self.policy.tiers)
                raise PolicyError(f"case {case.id} goes to tier {tier!r}; the policy has {tiers}.")
            entered = sla_clock.start_clocks(
                case, self.policy.tiers[tier], self.calendar(tier), self.now_s, within_s=within_s
            )
            return replace(entered, review_project="", review_task=None, policy=self._hash)
        if event == "promise":
            return sla_clock.promise_within(case, self.calendar(tier), self.now_s, within_s)
        if event in ("start", "review", "refuse"):
            return replace(case, started_s=self.now_s if case.started_s is None else case.started_s)
        if event == "ask":
            return sla_clock.pause_clocks(case, self.now_s)
        if event == "answered":
            resumed = sla_clock.resume_clocks(case, self.calendar(case.tier), self.now_s)
            return replace(resumed, review_project="", review_task=None)
        if event == "decide":
            return replace(case, decided_s=self.now_s, paused_s=None)
        if event == "settle":
            return replace(case, decided_s=self.now_s, resolved_s=self.now_s)
        if event == "write":
            return replace(case, resolved_s=self.now_s)
        return case

    def _tier_above(self, tier: str) -> str:
        above = self.policy.tier_after(tier) if tier in self.policy.tiers else None
        if above is None:
            raise NoSuchMove(f"there is no tier above {tier}; the policy has {', '.join(self.policy.tiers)}.")
        return above


def priority_value(priority: str) -> float:
    """Return a priority of the policy as the number that orders cases: 0 is urgent, 1 is low.

    >>> priority_value("urgent"), priority_value("low")
    (0.0, 1.0)
    """
    return PRIORITIES.index(priority) / (len(PRIORITIES) - 1) if priority in PRIORITIES else 0.5


def is_blind(case: CaseRow, policy: Policy) -> bool:
    """Return whether the reviewers of a case see no earlier answer.

    A case that somebody asked for is never blind, also in a blind tier: its reviewer must see everything.
    """
    blind = case.tier in policy.tiers and policy.tiers[case.tier].blind and case.rule != ON_REQUEST
    return case.rule == SECOND_LOOK or blind
