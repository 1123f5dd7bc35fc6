"""The state machine of a case: all states, all events, and the table of allowed transitions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from feedback.errors import FeedbackError

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


def _rows(
    states: Iterable[State], event: Event, to_state: State | None, tier: TierAfter, when: str
) -> list[Transition]:
    """Return the same row for several states; with `to_state=None` the state stays."""
    return [Transition(event, state, state if to_state is None else to_state, tier, when) for state in states]


TRANSITIONS: tuple[Transition, ...] = (
    Transition("automate", "", "automated", "given", "a certified answer is given without people"),
    Transition("open", "", "queued", "given", "a rule, a disagreement, a skip or a random draw opens a case"),
    Transition("open", "automated", "queued", "given", "somebody asks for a person, or the audit selects it"),
    *_rows(_ACTIVE, "assign", None, "same", "a review task for its reviewers is in the tier's review project"),
    Transition("start", "queued", "started", "same", "the first draft, answer or skip is seen"),
    *_rows(_ACTIVE, "review", "started", "same", "one of several reviewers has answered"),
    *_rows(_ACTIVE, "refuse", "queued", "same", "an answer does not count: its author is excluded, or it is invalid"),
    *_rows(_ACTIVE, "ask", "waiting", "same", "a guideline is needed, or the requester is asked"),
    Transition("answered", "waiting", "queued", "same", "the answer to the question arrives"),
    *_rows(_ACTIVE, "warn", None, "same", "a clock is at risk, or has run out and the policy only notifies"),
    *_rows(_ACTIVE, "reassign", "queued", "same", "a clock has run out: others get a new review task"),
    *_rows((*_ACTIVE, "waiting"), "escalate", "queued", "above", "a reviewer, a disagreement or a clock escalates it"),
    *_rows((*_ACTIVE, "waiting"), "recall", "queued", "given", "the routing now sends it to another tier"),
    *_rows((*_ACTIVE, "waiting"), "promise", None, "same", "somebody asks for a person: a time is promised"),
    *_rows(_ACTIVE, "settle", "resolved", "same", "people agree in the source project itself"),
    *_rows((*_ACTIVE, "waiting"), "decide", "decided", "same", "the tier's protocol has its answer"),
    Transition("write", "decided", "resolved", "same", "the answer is written as ground truth to the source project"),
    *_rows(("decided", "resolved"), "reopen", "queued", "given", "a second look, an appeal, or a changed answer"),
    *_rows(
        ("automated", *_ACTIVE, "waiting", "decided", "resolved"),
        "withdraw",
        "withdrawn",
        "same",
        "the task was deleted",
    ),
)

_BY_STATE: dict[tuple[State, Event], Transition] = {(row.from_state, row.event): row for row in TRANSITIONS}
OPEN_STATES: frozenset[str] = frozenset({"queued", "started", "waiting"})  # people still have to act


def transition_for(state: State, event: Event) -> Transition:
    """Return the row of the table for an event in a state.

    Raises NoSuchMove, which names the events that the state has.

    >>> transition_for("queued", "start").to_state
    'started'
    >>> transition_for("resolved", "start")
    Traceback (most recent call last):
    feedback.review.state_machine.NoSuchMove: a resolved case cannot start; it can: reopen, withdraw.
    """
    found = _BY_STATE.get((state, event))
    if found is None:
        possible = ", ".join(row.event for row in TRANSITIONS if row.from_state == state) or "nothing"
        raise NoSuchMove(f"a {state or 'new'} case cannot {event}; it can: {possible}.")
    return found
