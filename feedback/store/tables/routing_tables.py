"""The tables of routing, with their records: decisions, signals, indicators, and the tasks that are hidden."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Index, UniqueConstraint

from feedback.store.database.row_mapping import make_table


@dataclass(frozen=True, slots=True)
class CurrentDecision:
    """The decision that is valid for a task now, as far as the loop needs it."""

    rule: str
    outcome: str  # a tier, or "hold"
    policy: str  # its hash, the key of a record of kind "policy"
    model: str  # the version that answered; "" before the first
    refused: str  # why the rule's own outcome could not be; "" where it is
    priority: str
    queue: str
    overlap: int | None  # votes wanted; None: the project's own
    sample: str = ""  # "audit" or "gold": the first tier answers it blind, before a later tier gets it


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision with all its inputs, so that it can be replayed."""

    task: int
    at_s: float
    content: str  # names the task's data as they were
    standing: CurrentDecision
    # field -> value: everything that a rule may read besides the task data
    inputs: Mapping[str, Any] = field(hash=False)
    id: int = 0  # its number, once it is stored


decision = make_table(  # written once; the newest of a task is the one that holds
    "decision",
    ["id"],
    {"project": str, "inputs": bytes},
    Decision,
    CurrentDecision,
    Index("decision_task", "project", "task", "id"),
    without=["standing"],
)


@dataclass(frozen=True, slots=True)
class Signal:
    """One message of another system about a task, or about the whole project."""

    project: str
    name: str
    value: bool | float | str
    task: int | None  # None: about the whole project
    at_s: float  # when it happened
    key: str  # the sender's own, or a hash of the signal; the same one is stored once
    source: str = ""
    note: str = ""
    callback: str = ""  # a name of [notify] that gets the final answer; "" for none
    external: str = ""  # what the sender calls the task; "" where it is named by its number
    unmatched: str = ""  # why it is about no task yet; "" where it is
    received_s: float = 0.0
    id: int = 0


signal = make_table(
    "signal",
    ["id"],
    Signal,
    UniqueConstraint("project", "key", name="signal_key"),
    Index("signal_task", "project", "task"),
)
hidden_task = make_table(  # tasks that we marked as labelled, so that Label Studio serves them to no person
    "hidden_task", ["project", "task"], {"project": str, "task": int, "since_s": float}
)

Value = float | str | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class IndicatorValue:
    """The value of one indicator in one version of one annotation; the newest version of an annotation counts."""

    entity: str  # "customer_id=4711"
    name: str  # of the question
    value: Value  # None: taken back
    origin: str  # the project of the answer: this one, or a review project
    annotation: int
    seq: int  # the event of that project
    task: int  # of the source project
    person: int | None
    answered_s: float  # time of the answer
    recorded_s: float  # when we knew
    counted: bool = True  # whether the answer counts


indicator = (
    make_table(  # one row for each version of an annotation and each question it answers; only `counted` changes
        "indicator",
        ["project", "origin", "seq", "name"],
        {"project": str},
        IndicatorValue,
        Index("indicator_entity", "project", "entity"),
        Index("indicator_annotation", "project", "origin", "annotation"),
    )
)
indicator_head = make_table(  # how far each log was read, and for which questions
    "indicator_head",
    ["project", "origin"],
    {
        "project": str,
        "origin": str,
        "seq": int,
        "questions": str,  # a hash: other questions are read from the beginning
    },
)
task_key = make_table(  # the external id of a task: the value of the field that the policy names
    "task_key",
    ["project", "task"],
    {
        "project": str,
        "task": int,
        "field": str,
        "key": str | None,  # NULL: the task has none
        "content": str,  # of the task's data that it was read from
    },
    Index("task_key_key", "project", "field", "key"),
)
