"""The tables of review, with their records: cases, their events, reviews, overrides, and review projects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor
from typing import Any

from sqlalchemy import Connection, Index, UniqueConstraint, func, select

from feedback.policy.rules import PRIORITIES
from feedback.store.database.row_mapping import make_table
from ml_backend.records import Answer

_HORIZON_S = 2.0**33  # the year 2242
_IDS = 2**16  # numbers of cases that are told apart within one second; a score has room for no more


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A task under review. `version` is the fence: a move names the version that it was decided on."""

    project: str
    task: int
    state: str
    tier: str
    id: int = 0
    version: int = 1
    round: int = 1  # one more at each re-opening
    priority: float = 0.5  # 0 is urgent, 1 can wait
    why: str = ""  # why it is here, in words
    rule: str = ""
    skills: tuple[str, ...] = ()  # that a reviewer needs
    policy: str = ""
    segment: str = ""
    measures: bool = False  # its task is an audit or gold task: no tier shows an earlier answer
    proposal: Answer | None = None  # what the next reviewer is asked to accept or fix
    proposed_by: str = ""  # "model", "people" or a tier
    confidence: float | None = None
    model: str = ""
    prediction: Mapping[str, Any] = field(default_factory=dict, hash=False)  # the model's answer and its reasons
    opened_s: float = 0.0
    entered_s: float = 0.0  # when it came to this tier
    started_s: float | None = None
    first_due_s: float | None = None
    due_s: float | None = None
    paused_s: float | None = None
    alarms: tuple[str, ...] = ()  # the clocks that have warned at this tier
    breaches: int = 0
    review_project: str = ""
    review_task: int | None = None
    copies: int = 0
    shown: str = ""  # digest of what the review task shows: the proposal, the verdicts, the due time, the urgency
    blind: bool = False  # reviewers of this stay have a review task that shows no earlier answer
    answer: Answer | None = None
    decided_s: float | None = None
    resolved_s: float | None = None
    annotation: int | None = None  # our ground truth in the source project


def urgency(case: CaseRow) -> float:
    """Return the place of a case among the others, in [0, 1): the lowest is the most urgent, and no two are equal.

    By priority, then by due time (cases without a running clock come after those with one, by their age), then by
    number. It is the one order of cases: of lists and pages, and of the review tasks that Label Studio serves.

    >>> from dataclasses import replace
    >>> first = CaseRow("7", 1, "queued", "L2", id=1, due_s=9.0)
    >>> second, low = replace(first, id=2), replace(first, id=3, priority=1.0, due_s=1.0)
    >>> urgency(first) < urgency(second) < urgency(low)
    True
    """
    bands = len(PRIORITIES)
    band = min(round(case.priority * (bands - 1)), bands - 1)
    due_s = case.due_s if case.state in ("queued", "started") else None
    at_s = min(max(case.entered_s if due_s is None else due_s, 0.0), _HORIZON_S)
    second = floor(at_s) + (0.0 if due_s is not None else _HORIZON_S)
    return (band + (second + case.id % _IDS / _IDS) / (2 * _HORIZON_S + 1)) / bands


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """One event of a case."""

    at_s: float
    event: str
    state: str
    tier: str
    person: int | None = None  # who made it; None: the service itself
    note: str = ""
    body: Mapping[str, Any] = field(default_factory=dict, hash=False)
    case: int = 0
    number: int = 0  # the version of the case after this move


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One reviewer's answer on one case, and whether it counts."""

    review_project: str
    annotation: int
    case: int
    round: int
    tier: str
    entered_s: float  # which stay at the tier it belongs to
    person: int | None
    verdict: str
    answer: Answer | None
    reason: str = ""
    comment: str = ""
    feedback: Mapping[str, Any] = field(default_factory=dict, hash=False)  # structured answers by question
    shown: Answer | None = None
    annotation_version: str = ""  # the annotation's version
    at_s: float = 0.0
    lead_time_s: float | None = None
    counted: bool = False
    refused: str = ""  # why it does not count; "" where it does


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """One human answer and the answer of the model; `changed` makes it an override."""

    project: str
    annotation: int
    task: int
    person: int | None
    shown: Answer | None  # on a blind vote: the answer that the model would have given
    confidence: float | None
    model: str
    answer: Answer
    changed: bool
    blind: bool
    reason: str  # "" where nothing changed; "not given"
    segment: str
    tier: str
    policy: str
    at_s: float
    annotation_version: str


@dataclass(frozen=True, slots=True)
class ReviewProjectRow:
    """The review project that a tier uses now."""

    id: str  # in Label Studio
    tier: str
    config_digest: str  # of the label config and webhook that it was set up with; "" to check them before the next use


review_case = make_table(
    "review_case",
    ["id"],
    CaseRow,
    {
        "change": int,  # larger in each later change of a project's cases
        "urgency": float,  # of the case without its number, which the database gives: the order is urgency, then id
    },
    UniqueConstraint("project", "task", name="review_case_task"),
    Index("review_case_state", "project", "state"),
    Index("review_case_change", "project", "change"),
)
review_project = make_table(  # every one that a project ever had; of each tier, one at most is current
    "review_project", ["project", "id"], {"project": str}, ReviewProjectRow, {"current": bool}
)
case_event = make_table("case_event", ["case", "number"], CaseEvent)
review_task = make_table(  # that was ever made from a case; a honeypot is made from none
    "review_task",
    ["review_project", "id"],
    {
        "review_project": str,
        "id": int,  # Label Studio may give the id of a deleted task to another one
        "case": int,
    },
    Index("review_task_case", "case"),
)
review = make_table("review", ["review_project", "annotation"], ReviewRow, Index("review_of_case", "case"))
override = make_table(  # one row for each vote with a known model answer: the changed ones are overrides
    "override", ["project", "annotation"], OverrideRow, Index("override_time", "project", "at_s")
)


def next_case_change(connection: Connection, project: str) -> int:
    """Return the change number of the next change of a project's cases; ask for it under the lock of the cases."""
    newest = select(func.max(review_case.c.change)).where(review_case.c.project == project)
    return int(connection.execute(newest).scalar() or 0) + 1
