"""Delete old predictions, but never one that a person may have open."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client, task_filter, version_filter
from ml_backend.labelstudio.transport import Json

LOCK_TTL_S = 86_400.0  # Label Studio's default TASK_LOCK_TTL: how long an opened task stays with a person
_LABELLED = task_filter("is_labeled", "equal", "true", kind="Boolean")
_LABELLED_S = 3_600.0  # a labelled task may still be open in the Data Manager


@dataclass(frozen=True, slots=True)
class DeletionResult:
    """How many predictions were deleted, how many old ones must wait, and whether more can be deleted now."""

    deleted: int
    waiting: int
    more: bool = False


def delete_old_predictions(
    client: Client,
    project: str,
    *,
    is_our_version: Callable[[str], bool],
    keep: Iterable[str],
    lock_ttl_s: float = LOCK_TTL_S,
    limit: int = 50,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.time,
) -> DeletionResult:
    """Delete up to `limit` predictions of old versions of ours, the oldest versions first.

    A prediction is deleted only where nobody can have it open, because deleting it would make that person's submit
    fail: its task was labelled at least an hour ago, or its version was replaced more than `lock_ttl_s` ago (Label
    Studio's TASK_LOCK_TTL). `keep` are versions to keep. `stop` is asked before each deletion; True ends it.
    """
    now_s = clock()
    kept = set(keep)
    by_age = sorted(client.model_versions(project), key=lambda row: str(row["latest"]))
    deleted = waiting = 0
    for old, successor in pairwise(by_age):
        version = old["model_version"]
        if not version or version in kept or not is_our_version(version):
            continue
        # reason: the switch came before the last row of the next version, so no person got this version after it
        is_replaced = now_s - _seconds(successor["latest"]) > lock_ttl_s
        n_free = 0
        for prediction in _deletable(client, project, version, None if is_replaced else now_s - _LABELLED_S):
            if deleted >= limit or stop():
                return DeletionResult(deleted, waiting, more=True)
            client.delete_prediction(prediction)
            deleted += 1
            n_free += 1
        waiting += max(0, int(old["count"]) - n_free)
    return DeletionResult(deleted, waiting)


def _deletable(client: Client, project: str, version: str, labelled_before_s: float | None) -> Iterator[int]:
    """Yield the predictions of a version; with a time, only those on labelled tasks without a change since then."""
    filters = [] if labelled_before_s is None else [_LABELLED]
    for task in _tasks_with_version(client, project, version, filters=filters):
        if labelled_before_s is None or (task["is_labeled"] and _seconds(task["updated_at"]) < labelled_before_s):
            yield from (row["id"] for row in task["predictions"] if row["model_version"] == version)


def delete_versions(client: Client, project: str, versions: Sequence[str]) -> None:
    """Delete all predictions of these versions at once, and correct Label Studio's counts of predictions.

    For disconnecting a project: a person who has one of them open must open the task again.
    """
    if not versions:
        return
    deleted = set(versions)
    expected: dict[int, int] = {}
    for version in versions:
        for task in _tasks_with_version(client, project, version):
            kept = [row for row in task["predictions"] if row["model_version"] not in deleted]
            expected[task["id"]] = len(kept)
    for version in versions:
        client.delete_model_version(project, version)
    # reason: after any project was deleted, Label Studio 1.23 does not lower the counts until it is restarted
    if _miscounted(client, project, expected):
        with suppress(LabelStudioError):  # the counts are read again below, and corrected one by one
            client.create_predictions(project, [])  # makes Label Studio count again, unless its fast flag is on
        for number in _miscounted(client, project, expected):
            client.patch_task(number, total_predictions=expected[number])


def _miscounted(client: Client, project: str, expected: Mapping[int, int]) -> list[int]:
    tasks = client.each_task(project, include=("id", "total_predictions"))
    return [row["id"] for row in tasks if row["total_predictions"] != expected.get(row["id"], row["total_predictions"])]


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _tasks_with_version(client: Client, project: str, version: str, *, filters: Sequence[Json] = ()) -> Iterable[Json]:
    fields = ("id", "is_labeled", "updated_at", "predictions")
    return client.each_task(project, filters=[version_filter(version), *filters], include=fields, page_size=100)
