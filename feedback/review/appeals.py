"""Appeals: for each request for a person, who decided, whether in time, and the statement that proves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from feedback.review.case_state_machine import ON_REQUEST, OPEN_STATES
from feedback.review.review_task_content import format_answer, format_time
from feedback.store import CaseEvent, CaseRow, Record, Store
from ml_backend.number_format import format_percent, format_seconds
from ml_backend.records import Answer


@dataclass(frozen=True, slots=True)
class HumanReviewRequest:
    """One request for a person, and its outcome."""

    request: str  # the key of the signal
    asked_s: float
    case: int
    decided_by_person: bool  # False while nobody has decided
    in_time: bool | None  # None without a promised time, or before the decision
    statement: str  # for the requester


def list_human_review_requests(store: Store, project: str, *, task: int | None = None) -> list[HumanReviewRequest]:
    """Return the requests for a person on one task or in the whole project, newest first."""
    found = []
    for record in store.records.list_records(project, ON_REQUEST, limit=None):
        if task is not None and record.body["task"] != task:
            continue
        case = store.cases.get_case(int(record.body["case"]))
        found.append(_describe_request(record, case, store.cases.list_case_events(case.id)))
    return found


def _describe_request(record: Record, case: CaseRow, events: Sequence[CaseEvent]) -> HumanReviewRequest:
    body = record.body
    decision = _find_decision(events, int(body["round"]))
    due_s = body["due_s"]
    paused_s = 0.0 if decision is None else _paused_s(events, body["asked_s"], decision.at_s)
    in_time = None if decision is None or due_s is None else decision.at_s - paused_s <= due_s
    lines = [f"On {format_time(body['asked_s'])} a person was asked for: {body['note'] or 'without a reason'}."]
    if body["answer"]:
        confidence = f", {format_percent(body['confidence'])} sure" if body["confidence"] is not None else ""
        predicted = format_answer(Answer.from_key(body["answer"]))
        lines.append(f"The answer of the model {body['model']} was {predicted!r}{confidence}; policy {body['policy']}.")
    if decision is None:
        promise = f" It is promised by {format_time(due_s)}." if due_s is not None else ""
        lines.append(f"Nobody has decided yet: case {case.id} is {case.state} at {case.tier}.{promise}")
    else:
        key = decision.body.get("answer", case.answer.key if case.answer else None)
        answer = format_answer(Answer.from_key(key)) if key is not None else "that no answer is right"
        late = " That was later than promised." if in_time is False else ""
        paused = f" For {format_seconds(paused_s)} of it the case waited for an answer." if paused_s else ""
        shown = _describe_shown(events, decision, model=bool(body["answer"]))
        reopened = " Since then it was opened again." if case.state in OPEN_STATES else ""
        when = format_time(decision.at_s)
        lines.append(f"A person of {decision.tier} decided on {when}: {answer}, {shown}.{paused}{late}{reopened}")
    return HumanReviewRequest(
        record.key, float(body["asked_s"]), case.id, decision is not None, in_time, " ".join(lines)
    )


def _paused_s(events: Sequence[CaseEvent], from_s: float, to_s: float) -> float:
    """Return the seconds for which the case waited for an answer to a question; a promised time is paused meanwhile."""
    paused_s, since_s = 0.0, None
    for event in events:
        if event.event == "ask" and from_s <= event.at_s <= to_s:
            since_s = event.at_s
        elif since_s is not None:
            paused_s += min(event.at_s, to_s) - since_s
            since_s = None
    return paused_s


def _find_decision(events: Sequence[CaseEvent], round_number: int) -> CaseEvent | None:
    """Return the first event with which a person decided the round that the request started, or a later one."""
    number = 1
    for event in events:
        number += event.event == "reopen"
        if event.event in ("decide", "settle") and number >= round_number and event.person is not None:
            return event
    return None


def _describe_shown(events: Sequence[CaseEvent], decision: CaseEvent, *, model: bool) -> str:
    """Return what the deciding person saw before the decision."""
    if decision.event == "settle":
        return "in the source project itself"
    assigned = [event for event in events if event.event == "assign" and event.number < decision.number]
    if assigned and assigned[-1].body.get("blind"):
        return "without seeing the earlier answers"
    prediction = "the model's answer, " if model else ""
    return f"after seeing {prediction}the earlier answers and the reason for the review"
