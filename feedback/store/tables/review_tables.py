"""The tables of review: cases, their events, reviews, overrides, and review projects."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    select,
)

from feedback.store.tables.main_tables import RowId, metadata

review_case = Table(
    "review_case",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("project", String, nullable=False),
    Column("task", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),  # counts moves: a move names the version that it was decided on
    Column("round", Integer, nullable=False),  # 1, and one more at each re-opening
    Column("state", String, nullable=False),
    Column("tier", String, nullable=False),
    Column("priority", Float, nullable=False),  # [0, 1]; 0 is urgent
    Column("why", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("skills", Text, nullable=False),  # JSON list
    Column("policy", String, nullable=False),
    Column("segment", Text, nullable=False),
    Column("proposal", Text),  # Answer.key: what the next reviewer is asked to accept or fix
    Column("proposed_by", Text, nullable=False),  # "model", "people" or a tier
    Column("confidence", Float),
    Column("model", String, nullable=False),
    Column("prediction", Text, nullable=False),  # JSON: the model's answer with the reasons for it
    Column("opened_s", Float, nullable=False),
    Column("entered_s", Float, nullable=False),  # when it came to this tier
    Column("started_s", Float),
    Column("first_due_s", Float),
    Column("due_s", Float),
    Column("paused_s", Float),
    Column("alarms", Text, nullable=False),  # JSON list: the clocks that have warned at this tier
    Column("breaches", Integer, nullable=False),
    Column("review_project", String, nullable=False),
    Column("review_task", BigInteger),
    Column("copies", Integer, nullable=False),
    Column("answer", Text),
    Column("decided_s", Float),
    Column("resolved_s", Float),
    Column("annotation", BigInteger),  # our ground truth in the source project
    Column("change", BigInteger, nullable=False),  # larger in each later change of a project's cases
    UniqueConstraint("project", "task", name="review_case_task"),
    Index("review_case_state", "project", "state"),
    Index("review_case_change", "project", "change"),
)
review_project = Table(  # every one that a project ever had; of each tier, one at most is current
    "review_project",
    metadata,
    Column("project", String, primary_key=True),
    Column("id", String, primary_key=True),  # in Label Studio
    Column("tier", String, nullable=False),
    Column("config_digest", String, nullable=False),  # of its label config and webhook; "": check them
    Column("current", Boolean, nullable=False),
)
case_event = Table(
    "case_event",
    metadata,
    Column("case_id", BigInteger, primary_key=True),
    Column("number", Integer, primary_key=True),  # the version of the case after this move
    Column("at_s", Float, nullable=False),
    Column("event", String, nullable=False),
    Column("state", String, nullable=False),
    Column("tier", String, nullable=False),
    Column("person", BigInteger),  # who made it; NULL: the service itself
    Column("note", Text, nullable=False),
    Column("body", Text, nullable=False),  # JSON
)
review_task = Table(  # that was ever made from a case; a honeypot is made from none
    "review_task",
    metadata,
    Column("review_project", String, primary_key=True),
    Column("id", BigInteger, primary_key=True),  # Label Studio may give the id of a deleted task to another one
    Column("case_id", BigInteger, nullable=False),
    Index("review_task_case", "case_id"),
)
review = Table(
    "review",
    metadata,
    Column("review_project", String, primary_key=True),
    Column("annotation", BigInteger, primary_key=True),
    Column("case_id", BigInteger, nullable=False),
    Column("round", Integer, nullable=False),
    Column("tier", String, nullable=False),
    Column("entered_s", Float, nullable=False),  # which stay at the tier it belongs to
    Column("person", BigInteger),
    Column("verdict", String, nullable=False),
    Column("answer", Text),
    Column("reason", String, nullable=False),
    Column("comment", Text, nullable=False),
    Column("feedback", Text, nullable=False),  # JSON: structured answers by question
    Column("shown", Text),
    Column("annotation_version", String, nullable=False),  # the annotation's version
    Column("at_s", Float, nullable=False),
    Column("lead_time_s", Float),
    Column("counted", Boolean, nullable=False),
    Column("refused", Text, nullable=False),  # why it does not count
    Index("review_case_id", "case_id"),
)
override = Table(  # one row for each vote with a known model answer: the changed ones are overrides
    "override",
    metadata,
    Column("project", String, primary_key=True),
    Column("annotation", BigInteger, primary_key=True),
    Column("task", BigInteger, nullable=False),
    Column("person", BigInteger),
    Column("shown", Text),  # Answer.key; on a blind vote the answer that the model would have given
    Column("confidence", Float),
    Column("model", String, nullable=False),
    Column("answer", Text, nullable=False),
    Column("changed", Boolean, nullable=False),
    Column("blind", Boolean, nullable=False),
    Column("reason", String, nullable=False),  # "" where nothing changed; "not given"
    Column("segment", Text, nullable=False),
    Column("tier", String, nullable=False),
    Column("policy", String, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("annotation_version", String, nullable=False),  # the annotation's version
    Index("override_time", "project", "at_s"),
)


def next_case_change(connection: Connection, project: str) -> int:
    """Return the change number of the next change of a project's cases; ask for it under the lock of the cases."""
    newest = select(func.max(review_case.c.change)).where(review_case.c.project == project)
    return int(connection.execute(newest).scalar() or 0) + 1
