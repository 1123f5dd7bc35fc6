"""The inbox: webhooks are durable there at once, and in the log soon after, each exactly once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Note which deliveries of the inbox the log has."""
    op.create_table("taken", sa.Column("key", sa.String(), primary_key=True))
