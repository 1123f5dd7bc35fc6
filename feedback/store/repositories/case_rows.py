"""What review keeps, as records and as rows: a case, a line of its trail, one reviewer's look, an override."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import orjson

from feedback.store.database.engine import dumps, plain
from ml_backend.records import Answer


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A task under review. `version` is the fence: a move names the version that it was decided on."""

    project: str
    task: int
    state: str
    tier: str
    id: int = 0
    version: int = 1
    round: int = 1
    priority: float = 0.5  # 0 is urgent, 1 can wait
    why: str = ""  # why it is here, in words
    rule: str = ""
    skills: tuple[str, ...] = ()  # that whoever decides needs
    policy: str = ""
    segment: str = ""
    proposal: Answer | None = None
    proposed_by: str = ""  # "model", "people" or a tier
    confidence: float | None = None
    model: str = ""
    opinion: Mapping[str, Any] = field(default_factory=dict, hash=False)  # what the model said, and what spoke for it
    opened_s: float = 0.0
    entered_s: float = 0.0
    started_s: float | None = None
    first_due_s: float | None = None
    due_s: float | None = None
    paused_s: float | None = None
    alarms: tuple[str, ...] = ()
    breaches: int = 0
    review_project: str = ""
    review_task: int | None = None
    copies: int = 0
    answer: Answer | None = None
    decided_s: float | None = None
    resolved_s: float | None = None
    annotation: int | None = None


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """One line of a case's trail."""

    at_s: float
    event: str
    state: str
    tier: str
    person: int | None = None
    note: str = ""
    body: Mapping[str, Any] = field(default_factory=dict, hash=False)
    case: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """What one reviewer said of one case, and whether it counts."""

    review_project: str
    annotation: int
    case: int
    round: int
    tier: str
    entered_s: float
    person: int | None
    verdict: str
    answer: Answer | None
    reason: str
    comment: str
    feedback: Mapping[str, Any] = field(hash=False)
    shown: Answer | None
    seen: str  # the annotation's version
    at_s: float
    lead_time_s: float | None
    counted: bool
    refused: str  # why it does not count; "" where it does


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """One human answer beside what the model said; `changed` makes it an override."""

    project: str
    annotation: int
    task: int
    person: int | None
    shown: Answer | None  # on a blind vote: what the model would have said
    confidence: float | None
    model: str
    said: Answer
    changed: bool
    blind: bool
    reason: str
    segment: str
    tier: str
    policy: str
    at_s: float
    seen: str


_CASE = tuple(one.name for one in fields(CaseRow))


def case_values(case: CaseRow) -> dict[str, Any]:
    """A case as its row."""
    values = {name: getattr(case, name) for name in _CASE if name != "id"}
    values["skills"], values["alarms"] = dumps(case.skills).decode(), dumps(case.alarms).decode()
    values["proposal"], values["answer"] = _key(case.proposal), _key(case.answer)
    values["why"], values["opinion"] = plain(case.why), plain(dumps(case.opinion).decode())
    return values


def read_case(row: Any) -> CaseRow:
    """A row as its case."""
    values = {name: getattr(row, name) for name in _CASE}
    values["skills"], values["alarms"] = tuple(orjson.loads(row.skills)), tuple(orjson.loads(row.alarms))
    values["proposal"], values["answer"] = _answer(row.proposal), _answer(row.answer)
    values["opinion"] = orjson.loads(row.opinion or "{}")
    return CaseRow(**values)


def step_values(case: int, number: int, step: CaseEvent) -> dict[str, Any]:
    """A line of a trail as its row."""
    values = asdict(step)
    del values["case"]
    return {
        **values,
        "case_id": case,
        "number": number,
        "note": plain(step.note),
        "body": plain(dumps(step.body).decode()),
    }


def read_step(row: Any) -> CaseEvent:
    """A row as its line of a trail."""
    return CaseEvent(
        row.at_s,
        row.event,
        row.state,
        row.tier,
        row.person,
        row.note,
        orjson.loads(row.body),
        row.case_id,
        row.number,
    )


def look_values(look: ReviewRow) -> dict[str, Any]:
    """A look as its row."""
    values = {one.name: getattr(look, one.name) for one in fields(ReviewRow)}
    values["case_id"] = values.pop("case")
    values["answer"], values["shown"] = _key(look.answer), _key(look.shown)
    values["feedback"] = plain(dumps(look.feedback).decode())
    values["comment"], values["refused"] = plain(look.comment), plain(look.refused)
    return values


def read_look(row: Any) -> ReviewRow:
    """A row as its look."""
    values = {one.name: getattr(row, one.name) for one in fields(ReviewRow) if one.name != "case"}
    values["answer"], values["shown"] = _answer(row.answer), _answer(row.shown)
    values["feedback"] = orjson.loads(row.feedback)
    return ReviewRow(case=row.case_id, **values)


def override_values(row: OverrideRow) -> dict[str, Any]:
    """An override as its row."""
    values = asdict(row)
    values["shown"], values["said"] = _key(row.shown), row.said.key
    values["reason"], values["segment"] = plain(row.reason), plain(row.segment)
    return values


def read_override(row: Any) -> OverrideRow:
    """A row as its override."""
    values = {one.name: getattr(row, one.name) for one in fields(OverrideRow)}
    values["shown"], values["said"] = _answer(row.shown), Answer.from_key(row.said)
    return OverrideRow(**values)


def _key(answer: Answer | None) -> str | None:
    return None if answer is None else plain(answer.key)


def _answer(key: str | None) -> Answer | None:
    return None if key is None else Answer.from_key(key)
