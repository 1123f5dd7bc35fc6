"""Tidying: predictions of old windows are deleted in the background, a few at a time, once nobody can see them."""

from __future__ import annotations

from collections.abc import Callable

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.store import Store
from ml_backend.labelstudio.delete_predictions import DeletionResult

_KIND = "cleaned"
_EVERY_S = 60.0  # a project is tidied no oftener than this
_AGAIN_S = 3600.0  # what had to wait is looked at again: a task is settled, or a lock has run out
_LIMIT = 25  # deletions at once: each is a request of about 0.1 s to Label Studio, beside people's own


def is_deletion_due(store: Store, project: str, *, now_s: float) -> bool:
    """Whether a window was written since the last time, or something was left then; a clock that went back counts."""
    asked, last = (
        store.records.get_latest_record(project, "asked"),
        store.records.get_latest_record(project, _KIND),
    )
    if asked is None:
        return False
    if last is None:
        return True
    passed_s = now_s - float(last.body["at_s"])
    if passed_s < 0:
        return True
    if asked.id > last.id or last.body["more"]:
        return passed_s >= _EVERY_S
    return bool(last.body["waiting"]) and passed_s >= _AGAIN_S


def delete_stale_predictions(
    store: Store,
    platform: LabellingPlatform,
    project: str,
    *,
    lock_ttl_s: float,
    now_s: float,
    go_on: Callable[[], bool] = lambda: True,
) -> DeletionResult:
    """Delete a few old predictions and note how many; nothing while the project is paused or not connected."""

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
    """Old predictions that were deleted, ever, and those that the last look left because somebody may see them."""
    last = store.records.get_latest_record(project, _KIND)
    return {"deleted": int(last.body["total"]), "waiting": int(last.body["waiting"])} if last else _NONE


_NONE = {"deleted": 0, "waiting": 0}
