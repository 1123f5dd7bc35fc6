"""Rights: what somebody is owed who asked for a person, in plain words, with the records that prove it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from feedback.review.case_workflow import ON_REQUEST
from feedback.review.review_task_content import format_answer, format_time
from feedback.review.state_machine import OPEN_STATES
from feedback.store import CaseEvent, CaseRow, Record, Store
from ml_backend.records import Answer


@dataclass(frozen=True, slots=True)
class HumanReviewRequest:
    """One request for a person, and what became of it."""

    request: str  # the key of the signal
    asked_s: float
    case: int
    decided_by_person: bool  # False while nobody has decided
    in_time: bool | None  # None without a promise, or while it lasts
    statement: str  # for whoever asked


def list_human_review_requests(store: Store, project: str, *, task: int | None = None) -> list[HumanReviewRequest]:
    """Every request for a person, newest first; of one task, or of the whole project."""
    found = []
    for record in store.records.list_records(project, ON_REQUEST, limit=10_000):
        if task is not None and record.body["task"] != task:
            continue
        case = store.cases.get_case(int(record.body["case"]))
        found.append(_describe_request(record, case, store.cases.list_case_events(case.id)))
    return found


def _describe_request(record: Record, case: CaseRow, trail: Sequence[CaseEvent]) -> HumanReviewRequest:
    body = record.body
    decided = _decision(trail, int(body["round"]))
    due_s = body["due_s"]
    waited_s = 0.0 if decided is None else _paused_s(trail, body["asked_s"], decided.at_s)
    in_time = None if decided is None or due_s is None else decided.at_s - waited_s <= due_s
    lines = [f"On {format_time(body['asked_s'])} a person was asked for: {body['note'] or 'without a reason'}."]
    if body["answer"]:
        confidence = f", {body['confidence']:.0%} sure" if body["confidence"] is not None else ""
        said = format_answer(Answer.from_key(body["answer"]))
        lines.append(f"The model {body['model']} had said {said!r}{confidence}; policy {body['policy']}.")
    if decided is None:
        until = f" It is promised by {format_time(due_s)}." if due_s is not None else ""
        lines.append(f"Nobody has decided yet: case {case.id} is {case.state} at {case.tier}.{until}")
    else:
        last = case.answer.key if case.answer else None
        key = decided.body.get("answer", last)  # trails of earlier versions do not say it
        answer = format_answer(Answer.from_key(key)) if key is not None else "that no answer is right"
        late = " That was later than promised." if in_time is False else ""
        waited = f" For {waited_s / 60:.0f} minutes of it the case waited for an answer." if waited_s else ""
        seeing = _what_was_shown(trail, decided, model=bool(body["answer"]))
        anew = " Since then it was opened again." if case.state in OPEN_STATES else ""
        when = format_time(decided.at_s)
        lines.append(f"A person of {decided.tier} decided on {when}: {answer}, {seeing}.{waited}{late}{anew}")
    return HumanReviewRequest(
        record.key, float(body["asked_s"]), case.id, decided is not None, in_time, " ".join(lines)
    )


def _paused_s(trail: Sequence[CaseEvent], from_s: float, to_s: float) -> float:
    """Seconds for which the case waited for whoever was asked: a promise stands still meanwhile."""
    waited_s, since_s = 0.0, None
    for step in trail:
        if step.event == "ask" and from_s <= step.at_s <= to_s:
            since_s = step.at_s
        elif since_s is not None:
            waited_s += min(step.at_s, to_s) - since_s
            since_s = None
    return waited_s


def _decision(trail: Sequence[CaseEvent], round_number: int) -> CaseEvent | None:
    """The first step with which a person decided the round that the request began, or a later one."""
    count = 1
    for step in trail:
        count += step.event == "reopen"
        if step.event in ("decide", "settle") and count >= round_number and step.person is not None:
            return step
    return None


def _what_was_shown(trail: Sequence[CaseEvent], decided: CaseEvent, *, model: bool) -> str:
    """What whoever decided had before them, in words."""
    if decided.event == "settle":
        return "in the source project itself"
    placed = [step for step in trail if step.event == "place" and step.number < decided.number]
    if placed and placed[-1].body.get("blind"):
        return "seeing nothing of what was said before"
    shown = "the model's answer, " if model else ""
    return f"seeing {shown}what others had said and why it came to them"
