"""The tables of the event log, of its projections, and of what the service itself stores, with their records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Index, MetaData, UniqueConstraint, text

from feedback.policy import Policy
from feedback.policy.hitl_toml import policy_from_json
from feedback.store.database.row_mapping import RowMapper, make_table
from feedback.store.log.projections import AnnotationState, AnnotatorCounts, ProjectState, TaskState
from ml_backend.records import Answer

REVISION = "0001"  # the newest migration; a test compares it with the folder

_PROJECT = {"project": str}

# The log. A row is written once; only the payload of an erased person or task is ever deleted.
event = make_table(
    "event",
    ["project", "seq"],
    {
        "project": str,
        "seq": int,  # 1, 2, 3, ... without gaps
        "entity": str,
        "entity_id": int,
        "version": str,
        "action": str,
        "source": str,
        "seen_s": float,
        "received_s": float,
        "payload_hash": str,  # sha256(salt + body)
        "hash": str,  # sha256(previous hash + this row)
    },
    Index("event_key", "project", "entity", "entity_id", "version", "action"),
    sqlite_with_rowid=False,
)
payload = make_table(  # body: canonical JSON
    "payload", ["project", "seq"], {"project": str, "seq": int, "salt": bytes, "body": bytes}
)
event_with_payload = event.outerjoin(  # no payload: erased
    payload, (payload.c.project == event.c.project) & (payload.c.seq == event.c.seq)
)
# which deliveries of the inbox the log has, until they are removed there
ingested_delivery = make_table("ingested_delivery", ["key"], {"key": str})
content = make_table(  # a task's data, once for each content, however many versions the task has; hash: sha256 of data
    "content", ["project", "task", "hash"], {"project": str, "task": int, "hash": str, "data": bytes}
)
chain = make_table("chain", ["project"], {"project": str, "seq": int, "hash": str})

# Projections: derived from the log and from nothing else, in the transaction of each append.
annotation = make_table(
    "annotation",
    ["project", "id"],
    _PROJECT,
    AnnotationState,
    Index("annotation_task", "project", "task"),
    Index("annotation_person", "project", "person"),
    Index(
        "annotation_skip",
        "project",
        "task",
        sqlite_where=text("was_cancelled = 1"),
        postgresql_where=text("was_cancelled"),
    ),
    without=["body", "answer_keys"],
    sqlite_with_rowid=False,
)
task = make_table("task", ["project", "id"], _PROJECT, TaskState, sqlite_with_rowid=False)
task_with_content = task.join(
    content,
    (content.c.project == task.c.project) & (content.c.task == task.c.id) & (content.c.hash == task.c.content),
)
project_description = make_table("project_description", ["project"], _PROJECT, ProjectState)
person = make_table("person", ["project", "id"], _PROJECT, AnnotatorCounts, sqlite_with_rowid=False)


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


vote = make_table(  # one row for each control of an existing annotation
    "vote",
    ["project", "annotation", "control"],
    _PROJECT,
    Vote,
    {
        "version": str,
        "created_at": str,  # of the annotation: a task of a later life has other votes
        "source": str,
    },
    Index("vote_task", "project", "task"),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True, slots=True)
class UncountedAnswer:
    """An answer that does not count, and why."""

    annotation: int
    task: int
    person: int | None
    why: str


excluded_answer = make_table(  # what the last turn left out: a person may not answer a task
    "excluded_answer",
    ["project", "annotation"],
    _PROJECT,
    UncountedAnswer,
    Index("excluded_answer_task", "project", "task"),
)


# What the service remembers by itself.
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

    @property
    def policy(self) -> Policy:
        """Read the active policy; PolicyError where another version has stored one that this version cannot read."""
        return policy_from_json(self.options.get("policy", {}), f"the active policy of project {self.id}")


_DESCRIBED = ["title", "label_config", "described_at"]  # by the table project_description
project = make_table("project", ["id"], ProjectRow, without=_DESCRIBED)
PROJECTS = RowMapper(ProjectRow, project, without=_DESCRIBED)
own_annotation = make_table("own_annotation", ["project", "id"], {"project": str, "id": int})
own_unique = make_table("own_unique", ["project", "unique_id"], {"project": str, "unique_id": str})


@dataclass(frozen=True, slots=True)
class WindowRow:
    """One place of a queue that we wrote."""

    task: int
    version: str  # M+qN
    place: float  # the lowest is next; rows that come later stand between others
    answer: Answer | None  # None: nothing is shown
    confidence: float | None
    blind: bool
    prediction: int | None  # Label Studio's id, if known
    written_s: float
    task_created_at: str = ""  # of the task that it was planned for: Label Studio may reuse its id
    imported: str = ""  # the model version of regions that are shown and are not ours
    is_answer_ours: bool = True  # False where `answer` is what the imported regions say for our control


window = make_table(  # number: the order in which windows were planned
    "window",
    ["project", "number"],
    {"project": str, "number": int, "version": str},
    UniqueConstraint("project", "version", name="window_version"),
)
window_row = make_table(
    "window_row",
    ["project", "version", "task"],
    _PROJECT,
    WindowRow,
    Index("window_row_prediction", "project", "prediction"),
    Index("window_row_task", "project", "task"),
)


@dataclass(frozen=True, slots=True)
class Record:
    """Something that was found, decided or done; never changed."""

    id: int
    project: str
    kind: str
    key: str
    body: Mapping[str, Any] = field(hash=False)
    at_s: float


record = make_table(
    "record",
    ["id"],
    {"key": str | None, "body": bytes},  # key NULL: any number of records
    Record,
    UniqueConstraint("project", "kind", "key", name="record_key"),
    Index("record_latest", "project", "kind", "id"),
)
model = make_table(
    "model",
    ["project", "version"],
    {
        "project": str,
        "version": str,
        "digest": str,
        "data": bytes,
        "card": bytes,
        "added_s": float,
        "number": int,  # the order in which versions were added
    },
)
alias = make_table(  # name: champion or former
    "alias", ["project", "name"], {"project": str, "name": str, "version": str, "changed_s": float}
)
secret = make_table("secret", ["name"], {"name": str, "value": str})
job = make_table(
    "job",
    ["project", "kind"],
    {
        "project": str,
        "kind": str,
        "requested": int,  # counts requests; there is work while it is above `finished`
        "finished": int,
        "running": int,  # the request that the present run began with
        "owner": str | None,  # NULL: free
        "token": int,  # the fence: one more at each claim
        "lease_s": float,
        "lease_until_s": float,
        "tries": int,
        "due_s": float,
        "requested_s": float,
        "parked": bool,
        "reason": str,
    },
)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a worker process wrote about itself last; all times are epoch seconds."""

    worker: str  # host:pid
    started_s: float
    beat_s: float  # when it was written
    step: str  # what its main thread does: "turn of project 7: write queue"; "" while it waits for work
    step_s: float  # when that began, or last moved on
    busy_s: float  # when the main thread last used the processor
    label_studio: str = ""  # why Label Studio cannot be used, "" where it can
    remedy: str = ""  # of that


heartbeat = make_table("heartbeat", ["worker"], Heartbeat)


@dataclass(frozen=True, slots=True)
class WebhookArrival:
    """When the last webhook of a project came, and what polls found since then."""

    project: str
    arrived_s: float  # 0: none ever
    polled_s: float  # when the poll began that last found an answer of which no webhook had told
    polled: int  # such answers since the last webhook


webhook_arrival = make_table("webhook_arrival", ["project"], WebhookArrival)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One signed-in browser."""

    digest: str  # sha256 of its cookie: a stolen store does not allow to sign in
    person: int  # Label Studio's user id
    email: str
    owner: bool  # whether it is the user whose token the service has
    began_s: float
    seen_s: float


session = make_table("session", ["digest"], SessionRow)
login_attempt = make_table(
    "login_attempt",
    ["scope", "address"],
    {
        "scope": str,  # the login that was tried: "service" or "pages"
        "address": str,
        "restored_s": float,  # when the address has all its tries back
    },
)

# On SQLite in a file of its own. A queue: its rows are deleted within a second, and its shape needs no migrations.
inbox = make_table(
    "inbox",
    ["id"],
    {
        "id": int,  # the order of arrival
        "key": str,  # random: ids may come again
        "received_s": float,
        "delivery": bytes,  # JSON: the events, and the work that a change asks for
        "problem": str | None,  # why it cannot be taken in; NULL where nothing speaks against it
    },
    UniqueConstraint("key"),
    metadata=MetaData(),
)
