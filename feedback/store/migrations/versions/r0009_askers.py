"""Askers: who is told the answer stands with each signal, and no more with the case."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Leave the callback of the signal that began a round out of its case."""
    op.drop_column("review_case", "callback")
