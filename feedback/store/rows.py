"""The records that the store takes and returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from feedback.store.log.events import Event
from ml_backend.records import Answer


@dataclass(frozen=True, slots=True)
class EventBatch:
    """The events that one caller appends together."""

    events: tuple[Event, ...]
    want: str | None  # the kind of work that a change asks for
    received_s: float | None = None  # when it came; None: now


@dataclass(frozen=True, slots=True)
class InboxStatus:
    """The deliveries that were received and are not ingested yet."""

    deliveries: int
    oldest_s: float | None  # when the first of them came
    problems: tuple[str, ...] = ()  # why others cannot be taken in; they are kept


@dataclass(frozen=True, slots=True)
class Appended:
    """The outcome of appending a batch of events."""

    new: int  # versions that were not reported before
    duplicates: int  # versions that were known already
    changed: int = 0  # of the new, those that change what can be learned or asked
    replaced: int = 0  # of the new, those with a reused id whose deletion was not reported


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """One project: its description in Label Studio, and our settings for it."""

    id: str
    title: str = ""
    label_config: str = ""
    control: str = ""  # the control that is learned; "" for the first
    connected: bool = False
    paused: bool = False
    overlap: int = 1  # votes wanted on every task
    bots: tuple[int, ...] = ()  # people whose answers are never votes
    settings_snapshot: Mapping[str, Any] = field(default_factory=dict, hash=False)  # what connect changed
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    described_at: str = ""  # time of title and label config; a save does not restore older ones
    source: str = ""  # of a review project: the project whose cases it shows


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task without its data."""

    id: int
    is_labeled: bool
    overlap: int
    content: str  # equal for equal data
    created_s: float  # 0.0 where Label Studio did not say


@dataclass(frozen=True, slots=True)
class Vote:
    """A person's latest answer to one control of one task."""

    task: int
    control: str
    person: int
    answer: Answer
    annotation: int
    at_s: float
    lead_time_s: float | None
    shown: int | None  # the prediction that the person saw; None: nothing was shown


@dataclass(frozen=True, slots=True)
class Skip:
    """A person's skip of a task; it is not a vote."""

    task: int
    person: int
    annotation: int
    at_s: float


@dataclass(frozen=True, slots=True)
class AnnotationVersion:
    """One version of an annotation, as it was."""

    annotation: int
    version: str  # updated_at; "" for a deletion
    action: str  # saved or deleted
    source: str
    seq: int
    received_s: float
    body: Mapping[str, Any] | None = field(hash=False)  # None: erased


@dataclass(frozen=True, slots=True)
class WindowRow:
    """One place of a queue that we wrote."""

    task: int
    version: str  # M+qN
    place: int  # 0 is next
    answer: Answer | None  # None: nothing is shown
    confidence: float | None
    blind: bool
    prediction: int | None  # Label Studio's id, if known
    written_s: float
    task_created_at: str = ""  # of the task that it was planned for: Label Studio may reuse its id


@dataclass(frozen=True, slots=True)
class Record:
    """Something that was found, decided or done; never changed."""

    id: int
    project: str
    kind: str
    key: str
    body: Mapping[str, Any] = field(hash=False)
    at_s: float


@dataclass(frozen=True, slots=True)
class JobClaim:
    """A claim on one kind of work of one project; `token` is its fence."""

    project: str
    kind: str
    owner: str
    token: int
    tries: int  # failures before this run
    lease_s: float


@dataclass(frozen=True, slots=True)
class JobRow:
    """The state of one kind of work of one project."""

    project: str
    kind: str
    state: Literal["idle", "wanted", "running", "parked"]
    owner: str
    tries: int
    due_s: float
    reason: str  # of the last failure


@dataclass(frozen=True, slots=True)
class ProjectionCheck:
    """Return whether the projections equal those derived from the log."""

    ok: bool
    digest: str  # of the projections as the log gives them
    differs: str = ""  # the first row that does not fit


@dataclass(frozen=True, slots=True)
class StoreStats:
    """The number of rows of each kind, and the size of the database."""

    events: int
    tasks: int
    annotations: int
    votes: int
    models: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What was erased, and which models were trained on it."""

    annotations: tuple[int, ...]
    tasks: tuple[int, ...]
    events: int
    models: tuple[str, ...]
