"""The first revision: every table of `feedback.store.tables`."""

from __future__ import annotations

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Change nothing: a new database is created from the table definitions and stamped with the newest revision."""
