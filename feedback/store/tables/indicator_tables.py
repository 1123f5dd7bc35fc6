"""The tables of the feature store: what people recorded of entities, and the names that others have for tasks."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, String, Table, Text

from feedback.store.tables.main_tables import metadata

indicator = Table(  # one row for each version of an annotation and each question it answers; only `counted` changes
    "indicator",
    metadata,
    Column("project", String, primary_key=True),
    Column("origin", String, primary_key=True),  # the project in which it was said: this one, or a review project
    Column("seq", BigInteger, primary_key=True),  # the event of that project's log
    Column("name", String, primary_key=True),
    Column("entity", Text, nullable=False),  # "customer_id=4711"
    Column("value", Text),  # JSON; NULL: taken back
    Column("annotation", BigInteger, nullable=False),
    Column("task", BigInteger, nullable=False),  # of the source project
    Column("person", BigInteger),
    Column("answered_s", Float, nullable=False),  # when it was said
    Column("recorded_s", Float, nullable=False),  # when we knew
    Column("counted", Boolean, nullable=False),  # whether whoever said it may say so
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
task_key = Table(  # what others call a task: the value of the field that the policy names
    "task_key",
    metadata,
    Column("project", String, primary_key=True),
    Column("task", BigInteger, primary_key=True),
    Column("field", String, nullable=False),
    Column("key", Text),  # NULL: the task has none
    Column("content", String, nullable=False),  # of the task's data that it was read from
    Index("task_key_key", "project", "field", "key"),
)
