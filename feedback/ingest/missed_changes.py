"""What webhooks lost: one number a project that only grows, counted where polls and sweeps find it."""

from __future__ import annotations

from feedback.store import Store

_KIND = "missed"


def note_missed(store: Store, project: str, changes: int) -> None:
    """Add changes that no webhook had brought; nothing is missed in a project that nobody has connected yet."""
    row = store.projects.get_project(project)
    if changes and row is not None and row.connected:
        with store.transaction():
            store.records.create_record(project, _KIND, {"total": missed(store, project) + changes, "new": changes})


def missed(store: Store, project: str) -> int:
    """Changes that polls and sweeps found and no webhook had brought, ever."""
    last = store.records.get_latest_record(project, _KIND)
    return int(last.body["total"]) if last else 0
