"""Old predictions are removed late and gently: never one that may be on somebody's screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.transport import Json

LOCK_TTL_S = 86_400.0  # Label Studio's default TASK_LOCK_TTL: how long an opened task stays with a person
_LABELLED: Json = {"filter": "filter:tasks:is_labeled", "operator": "equal", "type": "Boolean", "value": "true"}
_SETTLED_S = 3_600.0  # a labelled task may still be open in the Data Manager for a while


@dataclass(frozen=True, slots=True)
class DeletionResult:
    """How many predictions went, how many old ones must wait, and whether there are more that could go now."""

    deleted: int
    waiting: int
    more: bool = False


def clean(
    client: Client,
    project: str,
    *,
    ours: Callable[[str], bool],
    keep: Iterable[str],
    lock_ttl_s: float = LOCK_TTL_S,
    settled_s: float = _SETTLED_S,
    limit: int = 50,
    stop: Callable[[], bool] = lambda: False,
    clock: Callable[[], float] = time.time,
) -> DeletionResult:
    """Delete up to `limit` predictions of versions that are ours and not to `keep`, the oldest versions first.

    One goes only when nobody can still have it open: its task has been labelled for `settled_s`, or its version was
    replaced longer ago than a lock lives (`lock_ttl_s`). Deleting what is on a screen would make that submit fail.
    `stop` is asked before each deletion.
    """
    now_s = clock()
    kept = set(keep)
    by_age = sorted(client.model_versions(project), key=lambda row: str(row["latest"]))
    deleted = waiting = 0
    for old, successor in pairwise(by_age):
        version = old["model_version"]
        if not version or version in kept or not ours(version):
            continue
        # reason: when the successor's last row was written the switch had happened, so nobody was served this after
        replaced = now_s - seconds(successor["latest"]) > lock_ttl_s
        free = 0
        for prediction in _free(client, project, version, None if replaced else now_s - settled_s):
            if deleted >= limit or stop():
                return DeletionResult(deleted, waiting, more=True)
            client.delete_prediction(prediction)
            deleted += 1
            free += 1
        waiting += max(0, int(old["count"]) - free)
    return DeletionResult(deleted, waiting)


def _free(client: Client, project: str, version: str, labelled_before_s: float | None) -> Iterator[int]:
    """The predictions of a version; with a time, those on tasks that were labelled then and not touched since."""
    filters = [] if labelled_before_s is None else [_LABELLED]
    for task in _holders(client, project, version, filters=filters):
        if labelled_before_s is None or (task["is_labeled"] and seconds(task["updated_at"]) < labelled_before_s):
            yield from (one["id"] for one in task["predictions"] if one["model_version"] == version)


def delete_versions(client: Client, project: str, versions: Sequence[str]) -> None:
    """Delete all predictions of some versions at once, and put Label Studio's counts of predictions right.

    For a project that is let go: whoever has one of them on the screen must open the task again.
    """
    if not versions:
        return
    gone = set(versions)
    expected: dict[int, int] = {}
    for version in versions:
        for task in _holders(client, project, version):
            kept = [row for row in task["predictions"] if row["model_version"] not in gone]
            expected[task["id"]] = len(kept)
    for version in versions:
        client.delete_model_version(project, version)
    # reason: once any project was deleted, Label Studio 1.23 forgets to lower the counts until it is restarted
    if _miscounted(client, project, expected):
        client.create_predictions(project, [])  # recounts the project where the memory-efficient flag is off
        for number in _miscounted(client, project, expected):
            client.patch_task(number, total_predictions=expected[number])


def _miscounted(client: Client, project: str, expected: Mapping[int, int]) -> list[int]:
    tasks = client.each_task(project, include=("id", "total_predictions"))
    return [row["id"] for row in tasks if row["total_predictions"] != expected.get(row["id"], row["total_predictions"])]


def seconds(moment: str) -> float:
    """ISO time to seconds since 1970.

    >>> seconds("1970-01-01T00:01:00Z")
    60.0
    """
    return datetime.fromisoformat(moment).timestamp()


def _holders(client: Client, project: str, version: str, *, filters: Sequence[Json] = ()) -> Iterable[Json]:
    named = {"filter": "filter:tasks:predictions_model_versions", "operator": "contains", "type": "String"}
    fields = ("id", "is_labeled", "updated_at", "predictions")
    return client.each_task(project, filters=[{**named, "value": version}, *filters], include=fields, page_size=100)
