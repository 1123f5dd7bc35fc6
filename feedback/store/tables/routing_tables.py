"""The tables of routing: decisions, signals, indicators, and the tasks that are hidden."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
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

from feedback.store.tables.main_tables import RowId, metadata

decision = Table(  # written once; the newest of a task is the one that holds
    "decision",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("project", String, nullable=False),
    Column("task", BigInteger, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("policy", String, nullable=False),  # its hash, the key of a record of kind "policy"
    Column("model", String, nullable=False),  # the version that answered; "" before the first
    Column("content", String, nullable=False),  # the task's data as they were: names a row of the table content
    Column("rule", String, nullable=False),
    Column("outcome", String, nullable=False),  # a tier, or hold
    Column("refused", Text, nullable=False),  # why the rule's own outcome could not be; "" where it is
    Column("priority", String, nullable=False),
    Column("queue", String, nullable=False),
    Column("overlap", Integer),  # votes wanted; NULL: the project's own
    Column("inputs", LargeBinary, nullable=False),  # JSON: everything that a rule may read besides the task data
    Index("decision_task", "project", "task", "id"),
)
signal = Table(
    "signal",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("project", String, nullable=False),
    Column("key", String, nullable=False),  # the sender's own, or a hash of the signal: the same one is one row
    Column("task", BigInteger),  # NULL: about the whole project
    Column("name", String, nullable=False),
    Column("value", Text, nullable=False),  # JSON
    Column("at_s", Float, nullable=False),  # when it happened
    Column("received_s", Float, nullable=False),
    Column("source", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("callback", Text, nullable=False),  # a name of [notify] that gets the final answer; "" for none
    Column("external", Text, nullable=False),  # what the sender calls the task; "" where it is named by its number
    Column("unmatched", Text, nullable=False),  # why it is about no task yet; "" where it is
    UniqueConstraint("project", "key", name="signal_key"),
    Index("signal_task", "project", "task"),
)
hidden_task = Table(  # tasks that we marked as labelled, so that Label Studio serves them to no person
    "hidden_task",
    metadata,
    Column("project", String, primary_key=True),
    Column("task", BigInteger, primary_key=True),
    Column("since_s", Float, nullable=False),
)
indicator = Table(  # one row for each version of an annotation and each question it answers; only `counted` changes
    "indicator",
    metadata,
    Column("project", String, primary_key=True),
    Column("origin", String, primary_key=True),  # the project of the answer: this one, or a review project
    Column("seq", BigInteger, primary_key=True),  # the event of that project's log
    Column("name", String, primary_key=True),
    Column("entity", Text, nullable=False),  # "customer_id=4711"
    Column("value", Text),  # JSON; NULL: taken back
    Column("annotation", BigInteger, nullable=False),
    Column("task", BigInteger, nullable=False),  # of the source project
    Column("person", BigInteger),
    Column("answered_s", Float, nullable=False),  # time of the answer
    Column("recorded_s", Float, nullable=False),  # when we knew
    Column("counted", Boolean, nullable=False),  # whether the answer counts
    Index("indicator_entity", "project", "entity"),
    Index("indicator_annotation", "project", "origin", "annotation"),
)
indicator_head = Table(  # how far each log was read, and for which questions
    "indicator_head",
    metadata,
    Column("project", String, primary_key=True),
    Column("origin", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("questions", String, nullable=False),  # a hash: other questions are read from the beginning
)
task_key = Table(  # the external id of a task: the value of the field that the policy names
    "task_key",
    metadata,
    Column("project", String, primary_key=True),
    Column("task", BigInteger, primary_key=True),
    Column("field", String, nullable=False),
    Column("key", Text),  # NULL: the task has none
    Column("content", String, nullable=False),  # of the task's data that it was read from
    Index("task_key_key", "project", "field", "key"),
)
