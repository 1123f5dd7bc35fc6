"""When what we wrote into Label Studio is compared with what it holds: once after each full sync."""

from __future__ import annotations

from typing import Literal

from feedback.store import Store

Part = Literal["queue", "review"]


def is_verification_due(store: Store, project: str, part: Part) -> bool:
    """Return whether a full sync of the project was completed since this part was verified last."""
    sweep = store.records.get_latest_record(project, "sweep")
    if sweep is None or not sweep.body["complete"]:
        return False
    last = store.records.get_latest_record(project, _kind(part))
    return last is None or last.body["sweep"] < sweep.id


def record_verification(store: Store, project: str, part: Part) -> None:
    """Record that everything of a part that is still open was read back since the last full sync."""
    sweep = store.records.get_latest_record(project, "sweep")
    store.records.create_record(project, _kind(part), {"sweep": sweep.id if sweep is not None else 0})


def _kind(part: Part) -> str:
    return f"verified_{part}"
