"""What webhooks lost: one number a project that only grows, counted where polls and sweeps find it."""

from __future__ import annotations

from feedback.store import Store

_KIND = "missed"


def note_missed(store: Store, project: str, changes: int) -> None:
    """Add changes that no webhook had brought; nothing is missed in a project that nobody has connected yet."""
    row = store.project(project)
    if changes and row is not None and row.connected:
        with store.transaction():
            store.record(project, _KIND, {"total": missed(store, project) + changes, "new": changes})


def missed(store: Store, project: str) -> int:
    """Changes that polls and sweeps found and no webhook had brought, ever."""
    last = store.latest(project, _KIND)
    return int(last.body["total"]) if last else 0
