"""The story of a case: its trail and what its readers said, one sentence a line, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from feedback.reports.formatting import closed
from feedback.reports.review_report import CaseReport
from feedback.review.honeypots import HONEYPOT_ROUND as HONEYPOT
from feedback.review.review_task_content import format_answer, format_time
from feedback.review.state_machine import STATE_MEANINGS
from feedback.store import CaseEvent, ReviewRow

_SAYS: Mapping[str, str] = {
    "automate": "the model decides",
    "open": "comes to {tier}",
    "place": "is handed out at {tier}: task {task} of project {room}",
    "start": "is begun",
    "look": "waits for more readers",
    "refuse": "is open again, since what {who} says does not count",
    "ask": "waits, and its clocks stand still",
    "answered": "goes on at {tier}",
    "warn": "somebody is told",
    "reassign": "is given to others at {tier}",
    "escalate": "goes up to {tier}",
    "recall": "goes to {tier}",
    "promise": "is promised to somebody who asks for a person",
    "settle": "people agree",
    "decide": "is decided at {tier}",
    "write": "is closed",
    "reopen": "is opened again at {tier}",
    "withdraw": "is withdrawn",
}
_BY = ("start", "settle", "decide")  # moves that are somebody's own


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence of a story, and when it happened."""

    at_s: float
    says: str


def story(
    report: CaseReport,
    reasons: Mapping[str, str],
    *,
    name: Callable[[int], str] = lambda person: f"person {person}",
) -> list[Line]:
    """Tell a case line by line; `reasons` are codes as people read them, `name` is what people are called."""
    told = [(step.at_s, 1, _step(step, name)) for step in report.trail]
    # an answer is older than the move that it led to, and no clock of Label Studio's may put it after
    told += [(look.at_s, 0, _look(look, reasons, name)) for look in report.looks if look.round != HONEYPOT]
    return [Line(at_s, says) for at_s, _kind, says in sorted(told, key=lambda one: one[:2])]


def in_words(report: CaseReport, reasons: Mapping[str, str]) -> list[str]:
    """The same as text, from what the case is to how it stands."""
    case = report.case
    lines = [f"{format_time(line.at_s)}  {line.says}" for line in story(report, reasons)]
    answer = f": {format_answer(case.answer)}" if case.state in ("decided", "resolved") else ""
    now = STATE_MEANINGS[case.state]  # type: ignore[index]  # what is stored came from the table
    asked = [proof.statement for proof in report.human_review_requests]
    head = f"Case {case.id}, at {case.tier}, round {case.round}"
    return [head, *lines, *asked, f"Now {case.state}{answer} ({now})"]


def _step(step: CaseEvent, name: Callable[[int], str]) -> str:
    who = "somebody" if step.person is None else name(step.person)
    where = {"task": step.body.get("task"), "room": step.body.get("room")}
    says = _SAYS[step.event].format(tier=step.tier, who=who, **where)
    by = f" by {who}" if step.person is not None and step.event in _BY else ""
    return f"{says}{by}{f': {closed(step.note)}' if step.note else ''}"


def _look(look: ReviewRow, reasons: Mapping[str, str], name: Callable[[int], str]) -> str:
    who = "somebody" if look.person is None else name(look.person)
    parts = [look.verdict or "no verdict", reasons.get(look.reason, look.reason), look.comment]
    if look.answer is not None:
        parts[0] += f", {format_answer(look.answer)}"
    says = "; ".join(closed(part) for part in parts if part)
    counts = "" if look.counted else f" (not counted: {closed(look.refused) or 'skipped'})"
    return f"{who} at {look.tier} says {says}{counts}"
