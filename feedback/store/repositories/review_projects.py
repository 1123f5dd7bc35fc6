"""The review projects of each project: their ids in Label Studio, and what they were set up with."""

from __future__ import annotations

from sqlalchemy import Connection, select

from feedback.store.repositories.repository import Repository
from feedback.store.tables.review_tables import ReviewProjectRow, review_project


class ReviewProjectsRepository(Repository):
    """The review projects that each project has or had."""

    def list_review_projects(self, project: str) -> dict[str, ReviewProjectRow]:
        """Return the review project of each tier that has one now."""
        table = review_project.c
        query = select(table.id, table.tier, table.config_digest).where(table.project == project, table.current)
        return {row.tier: ReviewProjectRow(*row) for row in self._list_rows(query.order_by(table.tier))}

    def list_review_project_ids(self, project: str) -> list[str]:
        """Return the id of every review project that a project ever had, sorted."""
        table = review_project.c
        return sorted(self._list_values(select(table.id).where(table.project == project)))

    def save_review_project(self, project: str, row: ReviewProjectRow) -> None:
        """Record which review project a tier uses from now on, in place of the one before."""
        values = {"project": project, "id": row.id, "tier": row.tier, "config_digest": row.config_digest}
        with self._database.write() as connection:
            self._retire(connection, project, row.tier)
            self._database.upsert(connection, review_project, [values | {"current": True}])

    def forget_review_project(self, project: str, tier: str) -> None:
        """Record that a tier has no review project: it was deleted, or is not as it was recorded."""
        with self._database.write() as connection:
            self._retire(connection, project, tier)

    def refresh_review_projects(self, project: str) -> None:
        """Have the label config and the webhook of every review project checked before its next use."""
        table = review_project
        with self._database.write() as connection:
            connection.execute(table.update().where(table.c.project == project).values(config_digest=""))

    def _retire(self, connection: Connection, project: str, tier: str) -> None:
        table = review_project
        conditions = (table.c.project == project, table.c.tier == tier, table.c.current)
        connection.execute(table.update().where(*conditions).values(current=False, config_digest=""))
