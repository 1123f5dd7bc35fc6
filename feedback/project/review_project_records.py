"""Which review projects a project has, as they were recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from feedback.store import Store


def list_review_projects(store: Store, project: str) -> dict[str, Mapping[str, Any]]:
    """The newest record of each tier's review project: room, and a hash of its label config."""
    found: dict[str, Mapping[str, Any]] = {}
    for record in store.records(project, "room", limit=1000):
        found.setdefault(str(record.body["tier"]), record.body)
    return found


def list_review_project_ids(store: Store, project: str) -> list[str]:
    """Every review project that a project ever had, by number."""
    found = {str(record.body["room"]) for record in store.records(project, "room", limit=10_000)}
    return sorted(found - {""})


def forget_review_project(store: Store, project: str, tier: str) -> None:
    """Look for a tier's project anew next time: it was deleted, or is not what we remember."""
    store.record(project, "room", {"tier": tier, "room": "", "config": ""})


def refresh_review_projects(store: Store, project: str) -> None:
    """Have every review project looked at anew before its next use: its label config, and its webhook."""
    for tier, body in list_review_projects(store, project).items():
        store.record(project, "room", {**body, "tier": tier, "config": ""})
