"""Collecting: bring in what webhooks missed, by asking Label Studio what changed since the last look."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from feedback.ingest.missed_changes import note_missed
from feedback.labelling_platform.interface import LabellingPlatform
from feedback.labelling_platform.unreadable import record_unreadable
from feedback.store import Store
from feedback.store.log import events

_OVERLAP = timedelta(seconds=2)  # a transaction may commit after a later one was already seen
_BATCH = 500  # events a transaction, so that nobody else waits long


def collect(store: Store, platform: LabellingPlatform, project: str, *, now_s: float, want: str | None = "turn") -> int:
    """Append what changed since the last look; what was deleted together with its task is found by a sweep only.

    Returns the number of changes that no webhook had brought. Resumes where it stopped; safe to repeat. `want` is the
    work that a change asks for: none in a review project, which the turn of its source reads.
    """
    found = store.records.get_latest_record(project, "cursor")
    last = str(found.body["since"]) if found else ""
    newest, new = last, 0
    batch, unread = list[events.Event](), list[str]()
    for task, given in platform.list_changed_tasks(project, _earlier(last)):
        newest = max(newest, task.updated_at)
        batch += events.of_task(task, given, source="poll", seen_s=now_s, unread=unread)
        # by Label Studio's own clock: what a webhook brought after this read is newer than the task as read
        until = events.canonical_time(task.updated_at)
        known = store.annotations.list_annotation_creation_times(
            project, above=task.id - 1, upto=task.id, before=until
        ).get(task.id, {})
        shown = {one.id for one in given}
        gone = {one: born for one, born in known.items() if one not in shown}
        batch += events.vanished(project, gone, source="poll")
        if len(batch) >= _BATCH:
            new += store.append(batch, want=want).changed
            batch = []
    if batch:
        new += store.append(batch, want=want).changed
    note_missed(store, project, new)
    record_unreadable(store.records, project, "poll", unread)
    if newest != last:
        store.records.create_record(project, "cursor", {"since": newest})
    return new


def take_in(store: Store, project: str, described: Mapping[str, Any]) -> int:
    """Keep a project's title and label config as Label Studio has them now; 1 where no webhook had told of them.

    Without this a label config that was changed while we were away would be learned with until the next sweep.
    """
    known = store.projects.get_project(project)
    title, label_config = str(described["title"]), str(described["label_config"])
    if known is None or (known.title, known.label_config) == (title, label_config):
        return 0  # nobody has connected it, or nothing is new
    new = store.append([events.of_project(project, title, label_config, "poll")], want=None).changed
    note_missed(store, project, new)
    return new


def _earlier(since: str) -> str:
    """Step back a little: what is read twice is stored once."""
    if not since:
        return ""
    return (datetime.fromisoformat(since) - _OVERLAP).isoformat().replace("+00:00", "Z")
