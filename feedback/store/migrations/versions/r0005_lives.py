"""Lives: numbers of Label Studio that pass from one thing to another; the projections are derived anew after it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Say of each row which life of its number it is."""
    for table in ("annotation", "task"):
        op.add_column(table, sa.Column("alive_s", sa.Float(), nullable=False, server_default="0"))
        op.add_column(table, sa.Column("ended", sa.String(), nullable=False, server_default=""))
        op.add_column(table, sa.Column("ended_s", sa.Float(), nullable=False, server_default="0"))
        op.add_column(table, sa.Column("erased_to", sa.String(), nullable=False, server_default=""))
    op.add_column("vote", sa.Column("created_at", sa.String(), nullable=False, server_default=""))
    op.add_column("window_row", sa.Column("task_created_at", sa.String(), nullable=False, server_default=""))
