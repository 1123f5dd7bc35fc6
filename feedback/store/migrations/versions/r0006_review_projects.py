"""Review projects: whose cases they show, so that what people say there is read in the turn of that project."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Say of each project whether it reviews another; those that do are told at their next use."""
    op.add_column("project", sa.Column("source", sa.String(), nullable=False, server_default=""))
