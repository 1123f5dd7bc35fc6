"""The tables of routing: who was to look at what and why, what others told us of tasks, and what we keep back."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from feedback.store.tables.main_tables import metadata

_Row = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only for INTEGER

decision = Table(  # written once; the newest of a task is the one that holds
    "decision",
    metadata,
    Column("id", _Row, primary_key=True, autoincrement=True),
    Column("project", String, nullable=False),
    Column("task", BigInteger, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("policy", String, nullable=False),  # its hash, the key of a record of kind "policy"
    Column("model", String, nullable=False),  # the version that spoke; "" before the first
    Column("content", String, nullable=False),  # the task's data as they were: names a row of the table content
    Column("rule", String, nullable=False),
    Column("outcome", String, nullable=False),  # a tier, or hold
    Column("refused", Text, nullable=False),  # why the rule's own outcome could not be; "" where it is
    Column("priority", String, nullable=False),
    Column("queue", String, nullable=False),
    Column("overlap", Integer),  # votes wanted; NULL: the project's own
    Column("inputs", LargeBinary, nullable=False),  # JSON: all that a rule may look at beside the data
    Index("decision_task", "project", "task", "id"),
)
signal = Table(
    "signal",
    metadata,
    Column("id", _Row, primary_key=True, autoincrement=True),
    Column("project", String, nullable=False),
    Column("key", String, nullable=False),  # the sender's own, or a hash of the signal: the same one is one row
    Column("task", BigInteger),  # NULL: about the whole project
    Column("name", String, nullable=False),
    Column("value", Text, nullable=False),  # JSON
    Column("at_s", Float, nullable=False),  # when it happened
    Column("received_s", Float, nullable=False),
    Column("source", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("callback", Text, nullable=False),  # a name of [notify] that is told the final answer; "" for none
    Column("external", Text, nullable=False),  # what the sender calls the task; "" where it is named by its number
    Column("unmatched", Text, nullable=False),  # why it is about no task yet; "" where it is
    UniqueConstraint("project", "key", name="signal_key"),
    Index("signal_task", "project", "task"),
)
hidden_task = Table(  # tasks that we marked as labelled, so that Label Studio hands them to nobody
    "hidden_task",
    metadata,
    Column("project", String, primary_key=True),
    Column("task", BigInteger, primary_key=True),
    Column("since_s", Float, nullable=False),
)
