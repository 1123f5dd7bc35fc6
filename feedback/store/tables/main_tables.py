"""The tables of the event log, of its projections, and of what the service itself stores."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

REVISION = "0001"  # the newest migration; a test compares it with the folder

metadata = MetaData()

RowId = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER

# The log. A row is written once; only the payload of an erased person or task is ever deleted.
event = Table(
    "event",
    metadata,
    Column("project", String, primary_key=True),
    Column("seq", BigInteger, primary_key=True),  # 1, 2, 3, ... without gaps
    Column("entity", String, nullable=False),
    Column("entity_id", BigInteger, nullable=False),
    Column("version", String, nullable=False),
    Column("action", String, nullable=False),
    Column("source", String, nullable=False),
    Column("seen_s", Float, nullable=False),
    Column("received_s", Float, nullable=False),
    Column("payload_hash", String, nullable=False),  # sha256(salt + body)
    Column("hash", String, nullable=False),  # sha256(previous hash + this row)
    Index("event_key", "project", "entity", "entity_id", "version", "action"),
    sqlite_with_rowid=False,
)
payload = Table(
    "payload",
    metadata,
    Column("project", String, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),  # canonical JSON
)
event_with_payload = event.outerjoin(  # no payload: erased
    payload, (payload.c.project == event.c.project) & (payload.c.seq == event.c.seq)
)
ingested_delivery = Table(  # which deliveries of the inbox the log has, until they are removed there
    "ingested_delivery",
    metadata,
    Column("key", String, primary_key=True),
)
content = Table(  # a task's data, once for each content, however many versions the task has
    "content",
    metadata,
    Column("project", String, primary_key=True),
    Column("task", BigInteger, primary_key=True),
    Column("hash", String, primary_key=True),  # sha256 of data
    Column("data", LargeBinary, nullable=False),
)
chain = Table(
    "chain",
    metadata,
    Column("project", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String, nullable=False),
)


# Projections: derived from the log and from nothing else, in the transaction of each append.
def _lifetime_columns() -> list[Column[Any]]:
    """Return the columns for the fields of `Lifetime`: which lifetime has an id, and by which event."""
    return [
        Column("seq", BigInteger, nullable=False),  # the event that won; 0 where only its deletion is known
        Column("seen_s", Float, nullable=False),
        Column("version", String, nullable=False),
        Column("rank", String, nullable=False),  # decides between two bodies of one version
        Column("created_at", String, nullable=False),
        Column("last_shown_s", Float, nullable=False),  # when the API last showed this life of the number
        Column("deleted_until", String, nullable=False),  # lifetimes created until then were deleted
        Column("deleted_s", Float, nullable=False),
        Column("erased_until", String, nullable=False),  # lifetimes created until then were erased
        Column("is_deleted", Boolean, nullable=False),
        Column("erased", Boolean, nullable=False),
    ]


annotation = Table(
    "annotation",
    metadata,
    Column("project", String, primary_key=True),
    Column("id", BigInteger, primary_key=True),
    *_lifetime_columns(),
    Column("task", BigInteger),
    Column("person", BigInteger),
    Column("was_cancelled", Boolean, nullable=False),
    Column("ground_truth", Boolean, nullable=False),
    Column("lead_time_s", Float),
    Column("parent_prediction", BigInteger),
    Column("unique_id", Text),
    Column("source", String, nullable=False),  # person, import or own
    Column("problems", Text),  # JSON list of reasons; NULL where all could be read
    Index("annotation_task", "project", "task"),
    Index("annotation_person", "project", "person"),
    Index(
        "annotation_skip",
        "project",
        "task",
        sqlite_where=text("was_cancelled = 1"),
        postgresql_where=text("was_cancelled"),
    ),
    sqlite_with_rowid=False,
)
task = Table(
    "task",
    metadata,
    Column("project", String, primary_key=True),
    Column("id", BigInteger, primary_key=True),
    *_lifetime_columns(),
    Column("content", String, nullable=False),  # names a row of the table content; "" where none came
    Column("is_labeled", Boolean, nullable=False),
    Column("overlap", Integer, nullable=False),
    sqlite_with_rowid=False,
)
task_with_content = task.join(
    content,
    (content.c.project == task.c.project) & (content.c.task == task.c.id) & (content.c.hash == task.c.content),
)
project_description = Table(  # a project as Label Studio describes it
    "project_description",
    metadata,
    Column("project", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("seen_s", Float, nullable=False),
    Column("version", String, nullable=False),
    Column("rank", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("label_config", Text, nullable=False),
    Column("is_deleted", Boolean, nullable=False),
)
person = Table(
    "person",
    metadata,
    Column("project", String, primary_key=True),
    Column("id", BigInteger, primary_key=True),
    Column("answers", Integer, nullable=False),  # annotations that exist now
    Column("skips", Integer, nullable=False),
    Column("first_at", String, nullable=False),
    Column("last_at", String, nullable=False),
    sqlite_with_rowid=False,
)
vote = Table(  # one row for each control of an existing annotation
    "vote",
    metadata,
    Column("project", String, primary_key=True),
    Column("annotation", BigInteger, primary_key=True),
    Column("control", String, primary_key=True),
    Column("task", BigInteger, nullable=False),
    Column("person", BigInteger, nullable=False),
    Column("answer", Text, nullable=False),  # Answer.key
    Column("version", String, nullable=False),
    Column("created_at", String, nullable=False),  # of the annotation: a task of a later life has other votes
    Column("at_s", Float, nullable=False),
    Column("lead_time_s", Float),
    Column("shown", BigInteger),
    Column("source", String, nullable=False),
    Index("vote_task", "project", "task"),
    sqlite_with_rowid=False,
)

# What the service remembers by itself.
project = Table(
    "project",
    metadata,
    Column("id", String, primary_key=True),
    Column("control", Text, nullable=False),
    Column("connected", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("overlap", Integer, nullable=False),
    Column("bots", Text, nullable=False),  # JSON list of person ids
    Column("settings_snapshot", Text, nullable=False),
    Column("options", Text, nullable=False),
    Column("source", String, nullable=False, server_default=""),  # of a review project: whose cases it shows
)
own_annotation = Table(
    "own_annotation",
    metadata,
    Column("project", String, primary_key=True),
    Column("id", BigInteger, primary_key=True),
)
own_unique = Table(
    "own_unique",
    metadata,
    Column("project", String, primary_key=True),
    Column("unique_id", String, primary_key=True),
)
window = Table(
    "window",
    metadata,
    Column("project", String, primary_key=True),
    Column("number", Integer, primary_key=True),  # the order in which windows were planned
    Column("version", String, nullable=False),
    UniqueConstraint("project", "version", name="window_version"),
)
window_row = Table(
    "window_row",
    metadata,
    Column("project", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("task", BigInteger, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("answer", Text),  # Answer.key; NULL where nothing is shown
    Column("confidence", Float),
    Column("blind", Boolean, nullable=False),
    Column("prediction", BigInteger),
    Column("written_s", Float, nullable=False),
    Column("task_created_at", String, nullable=False),  # of the task that it was planned for; "" where it is unknown
    Index("window_row_prediction", "project", "prediction"),
    Index("window_row_task", "project", "task"),
)
record = Table(
    "record",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("project", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("key", String),  # NULL: any number of records
    Column("body", LargeBinary, nullable=False),
    Column("at_s", Float, nullable=False),
    UniqueConstraint("project", "kind", "key", name="record_key"),
    Index("record_latest", "project", "kind", "id"),
)
model = Table(
    "model",
    metadata,
    Column("project", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("card", LargeBinary, nullable=False),
    Column("added_s", Float, nullable=False),
    Column("number", Integer, nullable=False),  # the order in which versions were added
)
alias = Table(
    "alias",
    metadata,
    Column("project", String, primary_key=True),
    Column("name", String, primary_key=True),  # champion
    Column("version", String, nullable=False),
    Column("changed_s", Float, nullable=False),
)
secret = Table(
    "secret",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)
job = Table(
    "job",
    metadata,
    Column("project", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("requested", BigInteger, nullable=False),  # counts requests; there is work while it is above `finished`
    Column("finished", BigInteger, nullable=False, default=0),
    Column("running", BigInteger, nullable=False, default=0),  # the request that the present run began with
    Column("owner", Text),  # NULL: free
    Column("token", BigInteger, nullable=False, default=0),  # the fence: one more at each claim
    Column("lease_s", Float, nullable=False, default=0.0),
    Column("lease_until_s", Float, nullable=False, default=0.0),
    Column("tries", Integer, nullable=False, default=0),
    Column("due_s", Float, nullable=False, default=0.0),
    Column("requested_s", Float, nullable=False),
    Column("parked", Boolean, nullable=False, default=False),
    Column("reason", Text, nullable=False, default=""),
)
session = Table(
    "session",
    metadata,
    Column(
        "digest", String, primary_key=True
    ),  # sha256 of the browser's secret: a stolen store does not allow to sign in
    Column("person", BigInteger, nullable=False),  # Label Studio's user id
    Column("email", Text, nullable=False),
    Column("owner", Boolean, nullable=False),  # whether it is the user whose token the service has
    Column("began_s", Float, nullable=False),
    Column("seen_s", Float, nullable=False),
)
login_attempt = Table(
    "login_attempt",
    metadata,
    Column("scope", String, primary_key=True),  # the login that was tried: "service" or "pages"
    Column("address", String, primary_key=True),
    Column("restored_s", Float, nullable=False),  # when the address has all its tries back
)

# On SQLite in a file of its own. A queue: its rows are deleted within a second, and its shape needs no migrations.
inbox = Table(
    "inbox",
    MetaData(),
    Column("id", RowId, primary_key=True, autoincrement=True),  # the order of arrival
    Column("key", String, nullable=False, unique=True),  # random: ids may come again
    Column("received_s", Float, nullable=False),
    Column("delivery", LargeBinary, nullable=False),  # JSON: the events, and the work that a change asks for
    Column("problem", Text),  # why it cannot be taken in; NULL where nothing speaks against it
)
