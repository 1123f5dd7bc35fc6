"""Indicators of entities, names that others have for tasks, signals that wait for theirs, and the model's own word."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the feature store and the index of names; give signals and cases what they may now say."""
    op.create_table(
        "indicator",
        sa.Column("project", sa.String(), primary_key=True),
        sa.Column("origin", sa.String(), primary_key=True),
        sa.Column("seq", sa.BigInteger(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("value", sa.Text()),
        sa.Column("annotation", sa.BigInteger(), nullable=False),
        sa.Column("task", sa.BigInteger(), nullable=False),
        sa.Column("person", sa.BigInteger()),
        sa.Column("said_s", sa.Float(), nullable=False),
        sa.Column("recorded_s", sa.Float(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
    )
    op.create_index("indicator_entity", "indicator", ["project", "entity"])
    op.create_index("indicator_annotation", "indicator", ["project", "origin", "annotation"])
    op.create_table(
        "indicator_head",
        sa.Column("project", sa.String(), primary_key=True),
        sa.Column("origin", sa.String(), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("questions", sa.String(), nullable=False),
    )
    op.create_table(
        "task_key",
        sa.Column("project", sa.String(), primary_key=True),
        sa.Column("task", sa.BigInteger(), primary_key=True),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("key", sa.Text()),
        sa.Column("content", sa.String(), nullable=False),
    )
    op.create_index("task_key_key", "task_key", ["project", "field", "key"])
    op.add_column("signal", sa.Column("external", sa.Text(), nullable=False, server_default=""))
    op.add_column("signal", sa.Column("parked", sa.Text(), nullable=False, server_default=""))
    op.add_column("review_case", sa.Column("opinion", sa.Text(), nullable=False, server_default=""))
