"""The review projects of each project: where they are in Label Studio, and what they were set up with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from feedback.store.repositories.records import RecordsRepository


class ReviewProjectsRepository:
    """Which review projects a project has, as they were recorded."""

    def __init__(self, records: RecordsRepository) -> None:
        self._records = records

    def list_review_projects(self, project: str) -> dict[str, Mapping[str, Any]]:
        """Return the newest record of each tier's review project: its id, and a hash of its label config."""
        found: dict[str, Mapping[str, Any]] = {}
        for record in self._records.list_records(project, "room", limit=1000):
            found.setdefault(str(record.body["tier"]), record.body)
        return found

    def list_review_project_ids(self, project: str) -> list[str]:
        """Return the id of every review project that a project ever had, sorted."""
        found = {str(record.body["room"]) for record in self._records.list_records(project, "room", limit=10_000)}
        return sorted(found - {""})

    def forget_review_project(self, project: str, tier: str) -> None:
        """Look for a tier's review project anew next time: it was deleted, or is not as it was recorded."""
        self._records.create_record(project, "room", {"tier": tier, "room": "", "config": ""})

    def refresh_review_projects(self, project: str) -> None:
        """Have the label config and the webhook of every review project checked before its next use."""
        for tier, body in self.list_review_projects(project).items():
            self._records.create_record(project, "room", {**body, "tier": tier, "config": ""})
