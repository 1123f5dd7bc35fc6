"""Review cases: one page of a list of them; and one with its events, reviews and requests, as JSON and as sentences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from feedback.errors import FeedbackError
from feedback.policy import Policy
from feedback.reports.formatting import close_direction, unnamed
from feedback.review.appeals import HumanReviewRequest, list_human_review_requests
from feedback.review.case_state_machine import OPEN_STATES, STATE_MEANINGS, is_blind, open_blind_cases
from feedback.review.honeypots import HONEYPOT_ROUND
from feedback.review.review_task_content import format_answer, format_time
from feedback.store import CaseEvent, CaseFilter, CaseRow, ProjectRow, ReviewRow, Store
from feedback.training.prediction_explanation import format_explanation
from ml_backend.records import Answer

_EVENT_TEXTS: Mapping[str, str] = {
    "automate": "the model decides",
    "open": "opened at {tier}",
    "assign": "published for review at {tier}: task {task} of project {review_project}",
    "start": "review started",
    "review": "waits for more reviewers",
    "refuse": "open again, because the review of {who} does not count",
    "ask": "waits for an answer; its clocks are paused",
    "answered": "continues at {tier}",
    "warn": "noted",
    "reassign": "assigned to other people at {tier}",
    "escalate": "escalated to {tier}",
    "recall": "moved to {tier}",
    "promise": "a decision by a person is promised",
    "settle": "people agree",
    "decide": "decided at {tier}",
    "write": "closed",
    "reopen": "reopened at {tier}",
    "withdraw": "withdrawn",
}
PAGE_SIZE = 100  # cases
ALL = "all"  # in place of a state: cases in any state
_PERSONAL_EVENTS = ("start", "settle", "decide")  # their sentence names the person


class UnknownState(FeedbackError):
    """A list of cases is asked for by a state that no case can have."""

    hint = f"The states are {', '.join(STATE_MEANINGS)}, and {ALL}."


@dataclass(frozen=True, slots=True)
class CaseList:
    """One page of the cases that a filter chooses, the most urgent first."""

    cases: Sequence[CaseRow]
    total: int  # cases on all pages
    page: int  # from 1
    pages: int
    hidden: int  # further cases that this reader may not see, because they are read blind
    clocked: int  # open tasks of the first tier that have a case only because their clock runs; in no other number
    clocked_late: int  # those whose clock has run out


def list_case_page(
    store: Store,
    project: ProjectRow,
    *,
    state: str = "",
    tier: str = "",
    person: int | None = None,
    late: bool = False,
    clocked: bool = False,
    page: int = 1,
    size: int = PAGE_SIZE,
    hides_blind: bool = False,
    now_s: float,
) -> CaseList:
    """Return one page of a project's cases; UnknownState for a state that there is not.

    Parameters
    ----------
    state
        "": the cases that are open, or decided and not written yet; "all": those in any state.
    person
        The user id of somebody who answered or skipped the task, reviewed the case, or moved it.
    late
        Only cases whose clock has run out at `now_s` (epoch seconds).
    clocked
        Only the tasks of the first tier that have a case for no other reason than a clock; otherwise all but those.
    hides_blind
        Whether the reader may not see the open cases that are read blind, because they may have to decide them.
    """
    if state not in ("", ALL, *STATE_MEANINGS):
        raise UnknownState(f"{state!r} is no state of a case.")
    states = {"": (*OPEN_STATES, "decided"), ALL: ()}.get(state, (state,))
    late_at_s = now_s if late else None
    chosen = CaseFilter(states, tier, person, late_at_s, clocked_tier=project.policy.first_tier, clocked=clocked)
    total, hidden = sum(store.cases.count_cases(project.id, chosen).values()), 0
    if hides_blind:
        chosen = replace(chosen, without=open_blind_cases(project.policy))
        visible = sum(store.cases.count_cases(project.id, chosen).values())
        total, hidden = visible, total - visible
    pages = max(1, -(-total // size))
    page = min(max(1, page), pages)
    cases = store.cases.find_cases(project.id, chosen, limit=size, offset=(page - 1) * size)
    clocks = CaseFilter(tuple(OPEN_STATES), clocked_tier=project.policy.first_tier, clocked=True)
    n_clocked, n_late = (
        sum(store.cases.count_cases(project.id, replace(clocks, late_at_s=at_s)).values()) for at_s in (None, now_s)
    )
    return CaseList(cases, total, page, pages, hidden, n_clocked, n_late)


def case_summary(case: CaseRow, *, label_studio: str, now_s: float) -> dict[str, Any]:
    """Return one line of a list of cases as JSON; `url` opens the review task, or the task itself where there is none.

    `label_studio` is the address of Label Studio, "" where it is not known.
    """
    due_s = case.due_s if case.state in OPEN_STATES else None
    shown = (case.project, case.task) if case.review_task is None else (case.review_project, case.review_task)
    return {
        "case": case.id,
        "task": case.task,
        "tier": case.tier,
        "state": case.state,
        "why": case.why,
        "due_s": due_s,
        "remaining_s": None if due_s is None or case.paused_s is not None else round(due_s - now_s, 1),
        "breaches": case.breaches,
        "round": case.round,
        "review_project": case.review_project or None,
        "review_task": case.review_task,
        "url": f"{label_studio.rstrip('/')}/projects/{shown[0]}/data?task={shown[1]}" if label_studio else None,
    }


@dataclass(frozen=True, slots=True)
class CaseReport:
    """One case with its whole history."""

    case: CaseRow
    events: Sequence[CaseEvent]
    reviews: Sequence[ReviewRow]
    requests: Sequence[HumanReviewRequest]

    @property
    def prediction(self) -> dict[str, Any]:
        """Return the model's answer and its explanation as people read them; {} where the model gave no answer."""
        recorded = self.case.prediction
        if not recorded:
            return {}
        answer = format_answer(Answer.from_key(str(recorded["answer"])))
        return {**recorded, "answer": answer, "explanation": format_explanation(recorded)}

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON, with answers as people read them."""
        case = asdict(self.case) | {
            "proposal": format_answer(self.case.proposal),
            "answer": format_answer(self.case.answer),
            "prediction": self.prediction,
        }
        return {
            "case": case,
            "events": [{**asdict(event), "body": dict(event.body)} for event in self.events],
            "reviews": [
                asdict(review) | {"answer": format_answer(review.answer), "shown": format_answer(review.shown)}
                for review in self.reviews
            ],
            "requests": [asdict(request) for request in self.requests],
        }


def hide_blind_answers(report: CaseReport, policy: Policy) -> CaseReport:
    """Return the report of an open blind case without any answer: who reads it may be one of the case's reviewers."""
    if not is_read_blind(report.case, policy):
        return report
    events = [
        replace(event, body={name: value for name, value in event.body.items() if name != "answer"})
        for event in report.events
    ]
    reviews = [replace(review, answer=None, shown=None, comment="") for review in report.reviews]
    return CaseReport(hide_blind_answer(report.case, policy), events, reviews, ())


def hide_blind_answer(case: CaseRow, policy: Policy) -> CaseRow:
    """Return an open blind case without its proposal and its prediction; any other case as it is."""
    if not is_read_blind(case, policy):
        return case
    return replace(case, proposal=None, proposed_by="", confidence=None, model="", prediction={}, answer=None)


def is_read_blind(case: CaseRow, policy: Policy) -> bool:
    """Return whether people still have to decide a case without seeing the earlier answers."""
    return case.state in OPEN_STATES and is_blind(case, policy)


class TimelineEntry(NamedTuple):
    """One sentence of a timeline, and when it happened."""

    at_s: float  # epoch seconds
    text: str


def case_report(store: Store, number: int) -> CaseReport:
    """Return the report of a case; raises NotStored if there is no case of this number."""
    case = store.cases.get_case(number)
    requests = list_human_review_requests(store, case.project, task=case.task)
    return CaseReport(
        case,
        store.cases.list_case_events(number),
        store.reviews.list_reviews_of_cases([number])[number],
        [request for request in requests if request.case == case.id],
    )


def case_timeline(
    report: CaseReport,
    reasons: Mapping[str, str],
    *,
    name: Callable[[int], str] = unnamed,
) -> list[TimelineEntry]:
    """Return the events and reviews of a case as sentences, oldest first.

    `reasons` gives the text of each reason code, `name` the name of a user id.
    """
    # a review comes before the event that it caused, even where both have the same time
    real = [review for review in report.reviews if review.round != HONEYPOT_ROUND]
    entries = [TimelineEntry(review.at_s, _review_text(review, reasons, name)) for review in real]
    entries += [TimelineEntry(event.at_s, _event_text(event, name)) for event in report.events]
    return sorted(entries, key=lambda entry: entry.at_s)


def describe_case(report: CaseReport, reasons: Mapping[str, str], name: Callable[[int], str] = unnamed) -> list[str]:
    """Return the case as lines of text: a heading, the timeline, the requests for a person, and the state."""
    case = report.case
    lines = [f"{format_time(entry.at_s)}  {entry.text}" for entry in case_timeline(report, reasons, name=name)]
    answer = f": {format_answer(case.answer)}" if case.state in ("decided", "resolved") else ""
    meaning = STATE_MEANINGS[case.state]  # type: ignore[index]  # stored states come from this table
    requests = [request.statement for request in report.requests]
    heading = f"Case {case.id}, at {case.tier}, round {case.round}"
    return [heading, *lines, *requests, f"Now {case.state}{answer} ({meaning})"]


def _event_text(event: CaseEvent, name: Callable[[int], str]) -> str:
    who = "somebody" if event.person is None else name(event.person)
    where = {"task": event.body.get("task"), "review_project": event.body.get("review_project")}
    text = _EVENT_TEXTS[event.event].format(tier=event.tier, who=who, **where)
    by = f" by {who}" if event.person is not None and event.event in _PERSONAL_EVENTS else ""
    return f"{text}{by}{f': {close_direction(event.note)}' if event.note else ''}"


def _review_text(review: ReviewRow, reasons: Mapping[str, str], name: Callable[[int], str]) -> str:
    who = "somebody" if review.person is None else name(review.person)
    parts = [review.verdict or "no verdict", reasons.get(review.reason, review.reason), review.comment]
    if review.answer is not None:
        parts[0] += f", {format_answer(review.answer)}"
    text = "; ".join(close_direction(part) for part in parts if part)
    counts = "" if review.counted else f" (not counted: {close_direction(review.refused) or 'skipped'})"
    return f"{who} at {review.tier}: {text}{counts}"
