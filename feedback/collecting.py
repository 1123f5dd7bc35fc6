"""Collecting: bring in what webhooks missed, by asking Label Studio what changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from feedback import events
from feedback.store import Store
from ml_backend.records import Annotation, Task

_OVERLAP = timedelta(seconds=2)  # a transaction may commit after a later one was already seen
_BATCH = 500  # events a transaction, so that ingest by webhook never waits long


class _Platform(Protocol):
    def changed(self, project: str, since: str) -> Iterable[tuple[Task, Sequence[Annotation]]]: ...
    def describe(self, project: str) -> Mapping[str, Any]: ...


def collect(store: Store, platform: _Platform, project: str, *, sweep: bool = False) -> int:
    """Append what changed since the last look; `sweep` looks at everything, and finds what is gone.

    Returns the number of events that no webhook had brought. Resumes where it stopped; safe to repeat.
    """
    found = store.latest(project, "cursor")
    since = "" if sweep or found is None else str(found.body["since"])
    newest, new, seen = since, 0, set()
    batch: list[events.Event] = []
    for task, annotations in platform.changed(project, _earlier(since)):
        newest = max(newest, task.updated_at)
        seen.add(task.id)
        batch += events.of_task(task, annotations, source="sweep" if sweep else "poll")
        batch += events.vanished(project, store.annotation_ids(project, task.id) - {one.id for one in annotations})
        if len(batch) >= _BATCH:
            new += store.append(batch).new
            batch = []
    if not since:
        gone = {task.id for task in store.tasks(project)} - seen
        batch += events.gone_tasks(project, gone)
    new += store.append(batch).new if batch else 0
    if newest != (str(found.body["since"]) if found else ""):
        store.record(project, "cursor", {"since": newest})
    return new


def _earlier(since: str) -> str:
    """Step back a little: what is read twice is stored once."""
    if not since:
        return ""
    return (datetime.fromisoformat(since.replace("Z", "+00:00")) - _OVERLAP).isoformat().replace("+00:00", "Z")
