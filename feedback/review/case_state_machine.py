"""The state machine of a case: its states, events and transitions, and the class that opens and moves cases by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from feedback.errors import FeedbackError, PolicyError
from feedback.policy import Policy
from feedback.policy.calendars import Calendar
from feedback.policy.rules import PRIORITIES
from feedback.review import sla_clock
from feedback.store import BlindCases, CaseEvent, CaseRow, ReviewRow, Store

State = Literal["", "automated", "queued", "started", "waiting", "decided", "resolved", "withdrawn"]
Event = Literal[
    "automate",
    "open",
    "assign",
    "start",
    "review",
    "refuse",
    "ask",
    "answered",
    "warn",
    "reassign",
    "escalate",
    "recall",
    "promise",
    "settle",
    "decide",
    "write",
    "reopen",
    "withdraw",
]
TierAfter = Literal["given", "same", "above"]

# the rule of cases that no rule of the policy opened
SECOND_LOOK = "second look"  # drawn at random; the reviewer sees no earlier answer
ON_REQUEST = "human review"  # somebody asked for a person
ESCALATED = "escalated"  # it came from the tier below
_KEPT_IN_SECOND_LOOK = ("rule", "proposal", "proposed_by")  # fields of a case that no move of a second look changes


class NoSuchMove(FeedbackError):
    """An event that the state machine does not allow in the state of the case."""


class CaseMoved(FeedbackError):
    """The case was moved by somebody else since it was read."""

    hint = "Nothing was changed. Look at the case again."


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table."""

    event: Event
    from_state: State
    to_state: State
    tier: TierAfter
    when: str  # for the diagram and the documentation


STATE_MEANINGS: dict[State, str] = {
    "automated": "the model decided; no person has answered",
    "queued": "waits at a tier until somebody starts",
    "started": "somebody has started: a draft, a first answer or a skip",
    "waiting": "waits for the requester or for a guideline; the clocks are stopped",
    "decided": "people have decided; the answer is not yet written to the source project",
    "resolved": "the answer is in the source project",
    "withdrawn": "the task was deleted",
}

_ACTIVE: tuple[State, ...] = ("queued", "started")
_OPEN: tuple[State, ...] = (*_ACTIVE, "waiting")
# event, states in which it may happen, state after it (None: the same), tier after it, when it happens
_TABLE: tuple[tuple[Event, tuple[State, ...], State | None, TierAfter, str], ...] = (
    ("automate", ("",), "automated", "given", "a certified answer is given without people"),
    ("open", ("",), "queued", "given", "a rule, a disagreement, a skip or a random draw opens a case"),
    ("open", ("automated",), "queued", "given", "somebody asks for a person, or the audit selects it"),
    ("assign", _ACTIVE, None, "same", "a review task for its reviewers is in the tier's review project"),
    ("start", ("queued",), "started", "same", "the first draft, answer or skip is seen"),
    ("review", _ACTIVE, "started", "same", "one of several reviewers has answered"),
    ("refuse", _ACTIVE, "queued", "same", "an answer does not count: its author is excluded, or it is invalid"),
    ("ask", _ACTIVE, "waiting", "same", "a guideline is needed, or the requester is asked"),
    ("answered", ("waiting",), "queued", "same", "the answer to the question arrives"),
    ("warn", _ACTIVE, None, "same", "a clock is at risk, or has run out and the policy only notifies"),
    ("reassign", _ACTIVE, "queued", "same", "a clock has run out: others get a new review task"),
    ("escalate", _OPEN, "queued", "above", "a reviewer, a disagreement or a clock escalates it"),
    ("recall", _OPEN, "queued", "given", "the routing now sends it to another tier"),
    ("promise", _OPEN, None, "same", "somebody asks for a person: a time is promised; or its task is drawn to measure"),
    ("settle", _ACTIVE, "resolved", "same", "people agree in the source project itself"),
    ("decide", _OPEN, "decided", "same", "the tier's protocol has its answer"),
    ("write", ("decided",), "resolved", "same", "the answer is written as ground truth to the source project"),
    ("reopen", ("decided", "resolved"), "queued", "given", "a second look, an appeal, or a changed answer"),
    ("withdraw", ("automated", *_OPEN, "decided", "resolved"), "withdrawn", "same", "the task was deleted"),
)
TRANSITIONS = tuple(
    Transition(event, state, to_state or state, tier, when)
    for event, states, to_state, tier, when in _TABLE
    for state in states
)
_BY_STATE: dict[tuple[State, Event], Transition] = {(row.from_state, row.event): row for row in TRANSITIONS}
OPEN_STATES: frozenset[str] = frozenset(_OPEN)  # people still have to act


def transition_for(state: State, event: Event) -> Transition:
    """Return the row of the table for an event in a state; NoSuchMove, which names the state's events, if none has it.

    >>> transition_for("queued", "start").to_state
    'started'
    >>> transition_for("resolved", "start")
    Traceback (most recent call last):
    feedback.review.case_state_machine.NoSuchMove: a resolved case cannot start; it can: reopen, withdraw.
    """
    found = _BY_STATE.get((state, event))
    if found is None:
        possible = ", ".join(row.event for row in TRANSITIONS if row.from_state == state) or "nothing"
        raise NoSuchMove(f"a {state or 'new'} case cannot {event}; it can: {possible}.")
    return found


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

        `tier` is the new one, where the transition leaves it open. `reviews` are saved in the same transaction;
        `changes` are further fields of the case. Raises NoSuchMove if the state machine has no such transition, and
        CaseMoved if the case was moved by somebody else since it was read.
        """
        if case.rule == SECOND_LOOK and changes.get("rule") != ON_REQUEST:
            # wherever it goes, it stays blind, and the earlier answer, its proposal, stays valid until it is decided
            changes = {name: value for name, value in changes.items() if name not in _KEPT_IN_SECOND_LOOK}
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
            blind = case.blind and event == "reassign"  # the same stay
            return replace(entered, review_project="", review_task=None, blind=blind, policy=self._hash)
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
        above = self.policy.tier_after(tier)
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

    A second look is blind in every tier that it goes to. A stay at a tier that began blind ends blind, also under a
    policy whose tier is not blind any more. A case that somebody asked for is never blind: its reviewer must see
    everything. A case whose task measures the model is always blind.
    """
    tier_is_blind = case.tier in policy.tiers and policy.tiers[case.tier].blind
    seen = case.rule == ON_REQUEST or not (case.rule == SECOND_LOOK or case.blind or tier_is_blind)
    return case.measures or not seen


def open_blind_cases(policy: Policy) -> BlindCases:
    """Return the open cases of which `is_blind` is true, for a query."""
    tiers = [name for name, tier in policy.tiers.items() if tier.blind]
    return BlindCases(OPEN_STATES, SECOND_LOOK, tiers, ON_REQUEST)
