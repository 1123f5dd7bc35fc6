"""The life of a case as one table: every state, every event, and nothing between the rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from feedback.review.errors import NoSuchMove

State = Literal["", "bot", "queued", "started", "waiting", "decided", "resolved", "withdrawn"]
Event = Literal[
    "automate",
    "open",
    "place",
    "start",
    "look",
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
Where = Literal["given", "same", "above"]  # the tier after the move


@dataclass(frozen=True, slots=True)
class Move:
    """One row of the table."""

    event: Event
    before: State
    after: State
    tier: Where
    when: str  # in plain words, for the diagram and the trail


MEANING: dict[State, str] = {
    "bot": "the model decided; nobody has looked",
    "queued": "waits at a tier for somebody to begin",
    "started": "somebody has begun: a draft, a first answer, a skip",
    "waiting": "waits for whoever asked, or for a guideline; the clocks stand still",
    "decided": "people have decided; the answer is on its way to the source project",
    "resolved": "the answer stands in the source project",
    "withdrawn": "the task is gone",
}

_OPEN: tuple[State, ...] = ("queued", "started")


def _from(states: Iterable[State], event: Event, after: State | None, tier: Where, when: str) -> list[Move]:
    """The same row for several states; `after=None` stays where it is."""
    return [Move(event, state, state if after is None else after, tier, when) for state in states]


TABLE: tuple[Move, ...] = (
    Move("automate", "", "bot", "given", "a certified answer is given without people"),
    Move("open", "", "queued", "given", "a rule, a disagreement, a skip or a draw sends it here"),
    Move("open", "bot", "queued", "given", "somebody asks for a person, or the audit draws it"),
    *_from(_OPEN, "place", None, "same", "a copy for its reviewers stands in the tier's project"),
    Move("start", "queued", "started", "same", "the first draft, answer or skip is seen"),
    *_from(_OPEN, "look", "started", "same", "one of several readers has answered"),
    *_from(_OPEN, "refuse", "queued", "same", "an answer does not count: excluded, or it contradicts itself"),
    *_from(_OPEN, "ask", "waiting", "same", "a guideline or the asker is asked"),
    Move("answered", "waiting", "queued", "same", "the answer came"),
    *_from(_OPEN, "warn", None, "same", "a clock is at risk, or has run out and the policy only tells"),
    *_from(_OPEN, "reassign", "queued", "same", "a clock has run out: a new copy for others"),
    *_from((*_OPEN, "waiting"), "escalate", "queued", "above", "a reviewer, a disagreement or a clock asks for more"),
    *_from((*_OPEN, "waiting"), "recall", "queued", "given", "the routing now sends it elsewhere"),
    *_from((*_OPEN, "waiting"), "promise", None, "same", "somebody asks for a person meanwhile: by when is promised"),
    *_from(_OPEN, "settle", "resolved", "same", "people agree in the source project itself"),
    *_from((*_OPEN, "waiting"), "decide", "decided", "same", "the tier's protocol has its answer"),
    Move("write", "decided", "resolved", "same", "the answer is ground truth in the source project"),
    *_from(("decided", "resolved"), "reopen", "queued", "given", "a second look, an appeal, or a changed answer"),
    *_from(("bot", *_OPEN, "waiting", "decided", "resolved"), "withdraw", "withdrawn", "same", "the task was deleted"),
)

_MOVES: dict[tuple[State, Event], Move] = {(move.before, move.event): move for move in TABLE}
LIVE: frozenset[str] = frozenset({"queued", "started", "waiting"})  # somebody must still do something


def move(before: State, event: Event) -> Move:
    """Give the row of the table; NoSuchMove names the events that the state has.

    >>> move("queued", "start").after
    'started'
    >>> move("resolved", "start")
    Traceback (most recent call last):
    feedback.review.errors.NoSuchMove: a resolved case cannot start; it can: reopen, withdraw.
    """
    found = _MOVES.get((before, event))
    if found is None:
        can = ", ".join(row.event for row in TABLE if row.before == before) or "nothing"
        raise NoSuchMove(f"a {before or 'new'} case cannot {event}; it can: {can}.")
    return found


def diagram() -> str:
    """The table as a Mermaid state diagram; docs/review.md holds exactly this.

    >>> diagram().splitlines()[:2]
    ['stateDiagram-v2', '    [*] --> bot: automate']
    """
    lines = ["stateDiagram-v2"]
    merged: dict[tuple[State, State], list[str]] = {}
    for row in TABLE:
        up = {"above": " (one tier up)", "given": "", "same": ""}[row.tier]
        merged.setdefault((row.before, row.after), []).append(f"{row.event}{up}")
    for (before, after), events in merged.items():
        lines.append(f"    {before or '[*]'} --> {after}: {', '.join(events)}")
    lines.append("    resolved --> [*]")
    lines.append("    withdrawn --> [*]")
    return "\n".join(lines)


def table() -> str:
    """The same as a Markdown table, with the reasons."""
    head = ["| from | event | to | tier | when |", "|---|---|---|---|---|"]
    rows = [f"| {row.before or 'nothing'} | {row.event} | {row.after} | {row.tier} | {row.when} |" for row in TABLE]
    return "\n".join([*head, *rows])
