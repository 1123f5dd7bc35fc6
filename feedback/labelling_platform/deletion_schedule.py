"""Deletion of stale predictions: those of replaced queue windows go in the background, a few at a time."""

from __future__ import annotations

from collections.abc import Callable

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.store import Store
from ml_backend.labelstudio.delete_predictions import DeletionResult

_KIND = "cleaned"
_EVERY_S = 60.0  # between two deletions in one project
_RETRY_S = 3600.0  # for predictions that had to wait for an answer or for the end of a lock
_LIMIT = 25  # deletions per run: each is a request of about 0.1 s, while people also use Label Studio


def is_deletion_due(store: Store, project: str, *, now_s: float) -> bool:
    """Return whether a window was written since the last run, or that run left something, or the clock went back."""
    asked, last = (store.records.get_latest_record(project, kind) for kind in ("asked", _KIND))
    if asked is None or last is None:
        return asked is not None
    passed_s = now_s - float(last.body["at_s"])
    if passed_s < 0:
        return True
    if asked.id > last.id or last.body["more"]:
        return passed_s >= _EVERY_S
    return bool(last.body["waiting"]) and passed_s >= _RETRY_S


def delete_stale_predictions(
    store: Store,
    platform: LabellingPlatform,
    project: str,
    *,
    lock_ttl_s: float,
    now_s: float,
    go_on: Callable[[], bool] = lambda: True,
) -> DeletionResult:
    """Delete a few stale predictions and record how many; none while the project is paused or not connected."""

    def stop() -> bool:
        row = store.projects.get_project(project)
        return row is None or not row.connected or row.paused or not go_on()

    if stop():
        return DeletionResult(0, 0)
    done = platform.delete_stale_predictions(project, lock_ttl_s=lock_ttl_s, limit=_LIMIT, stop=stop)
    total = count_deleted_predictions(store, project)["deleted"] + done.deleted
    body = {"total": total, "deleted": done.deleted, "waiting": done.waiting, "more": done.more, "at_s": now_s}
    store.records.create_record(project, _KIND, body)
    return done


def count_deleted_predictions(store: Store, project: str) -> dict[str, int]:
    """Return how many predictions were deleted in all, and how many the last run left as perhaps on a screen."""
    last = store.records.get_latest_record(project, _KIND)
    return {"deleted": last.body["total"] if last else 0, "waiting": last.body["waiting"] if last else 0}
