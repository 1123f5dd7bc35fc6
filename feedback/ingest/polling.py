"""Poll Label Studio for missed events, and count the missed and the unreadable ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.store import Store
from feedback.store.log import events
from feedback.store.log.projections import epoch_s
from ml_backend.left_out import compute_rows, contained
from ml_backend.printable import printable
from ml_backend.records import Annotation, Task

_OVERLAP = timedelta(seconds=2)  # a transaction may commit after a later one was already seen
_MAX_SKEW_S = 86_400.0  # no clock that runs is further ahead; a time beyond it is wrong and not the newest
_BATCH = 500  # events a transaction, so that other writers do not wait long
_DRAFTS_EVERY_S = 600.0
DRAFTS = "drafts"  # kinds of records
_MISSED = "missed"
_UNREADABLE = "unreadable"
_LONGEST_REASON = 300  # characters
_REASONS_LISTED = 3


def poll_changes(
    store: Store,
    platform: LabellingPlatform,
    project: str,
    *,
    now_s: float,
    want: str | None = "turn",
    since_s: float = math.inf,
) -> int:
    """Append what changed in Label Studio since the last poll; return the number of changes no webhook had brought.

    It resumes where the last poll stopped and is safe to repeat. An annotation that was deleted together with its task
    is found by a full sync only. `want` is the job that a change requests: none in a review project, which is read by
    the turn of its source project. `now_s` are epoch seconds. Of answers given after `since_s`, webhooks are expected:
    those that came by this poll alone are counted, because then webhooks do not arrive.
    """
    head = store.events.get_head(project)
    cursor = store.records.get_latest_record(project, "cursor")
    last = str(cursor.body["since"]) if cursor else ""
    if events.is_future(last, now_s, ahead_s=_MAX_SKEW_S):
        last = ""
    newest, new = last, 0
    batch, unreadable = list[events.Event](), list[str]()
    for task, given in platform.list_changed_tasks(project, _subtract_overlap(last), unreadable=unreadable):
        if not events.is_future(events.canonical_time(task.updated_at), now_s, ahead_s=_MAX_SKEW_S):
            newest = max(newest, task.updated_at)  # else no later change would ever be found
        with contained("poll", f"task {task.id}"):
            batch += _events_of(store, project, task, given, now_s=now_s, unreadable=unreadable)
        if len(batch) >= _BATCH:
            new += append_events(store, batch, want=want)
            batch = []
    new += append_events(store, batch, want=want)
    record_missed_changes(store, project, new)
    if new:
        _record_polled_answers(store, project, above=head, began_s=now_s, since_s=since_s)
    record_unreadable(store, project, "poll", unreadable)
    if newest != last:
        store.records.create_record(project, "cursor", {"since": newest})
    return new


def count_drafts(store: Store, platform: LabellingPlatform, project: str, *, now_s: float) -> None:
    """Record how many tasks have a draft, at most every ten minutes: Label Studio sends no event for one."""
    last = store.records.get_latest_record(project, DRAFTS)
    if last is None or not 0 <= now_s - last.body["at_s"] < _DRAFTS_EVERY_S:
        store.records.create_record(project, DRAFTS, {"tasks": platform.count_drafts(project), "at_s": now_s})


def append_events(store: Store, batch: Sequence[events.Event], *, want: str | None = None) -> int:
    """Append events, each once; return how many changed something. One that the database refuses is left out."""
    changed: list[int] = []

    def append(part: Sequence[events.Event]) -> Sequence[events.Event]:
        changed.append(store.append(part, want=want).changed)
        return part

    compute_rows("store", batch, append, name=lambda event: f"{event.entity} {event.entity_id}")
    return sum(changed)


def _events_of(
    store: Store, project: str, task: Task, given: Sequence[Annotation], *, now_s: float, unreadable: list[str]
) -> list[events.Event]:
    """Return the events of a task as Label Studio shows it now, with those of its annotations that it lacks."""
    found = events.events_from_task(task, given, source="poll", seen_s=now_s, unread=unreadable)
    # by Label Studio's own clock: a webhook event after this read is newer than the task as read
    until = events.canonical_time(task.updated_at)
    stored = store.annotations.list_annotation_creation_times(
        project, above=task.id - 1, upto=task.id, before=until
    ).get(task.id, {})
    present = {annotation.id for annotation in given}
    deleted = {number: created_at for number, created_at in stored.items() if number not in present}
    found += events.deletions(project, "annotation", deleted, source="poll")
    return found


def update_project_description(store: Store, project: str, description: Mapping[str, Any]) -> int:
    """Store a project's title and label config as Label Studio has them; return 1 where no webhook had brought them.

    Without this, a label config that was changed while we were away would be used until the next full sync.
    """
    stored = store.projects.get_project(project)
    title, label_config = events.short_title(str(description["title"])), str(description["label_config"])
    if stored is None or (stored.title, stored.label_config) == (title, label_config):
        return 0  # the project is not connected, or nothing changed
    new = store.append([events.event_from_project(project, title, label_config, "poll")], want=None).changed
    record_missed_changes(store, project, new)
    return new


def record_missed_changes(store: Store, project: str, changes: int) -> None:
    """Add changes that no webhook had brought; a project that is not connected has no webhook to miss them."""
    row = store.projects.get_project(project)
    if changes and row is not None and row.connected:
        with store.transaction():
            total = count_missed_changes(store, project) + changes
            store.records.create_record(project, _MISSED, {"total": total, "new": changes})


def _record_polled_answers(store: Store, project: str, *, above: int, began_s: float, since_s: float) -> None:
    """Count answers of a connected project, given after `since_s`, that came by a poll and not by a webhook."""
    row = store.projects.get_project(project)
    if row is None or not row.connected:
        return
    versions = store.events.list_polled_answers(project, above=above)
    if count := sum(epoch_s(version) >= since_s for version in versions):
        store.liveness.record_polled_answers(project, count, began_s=began_s)


def count_missed_changes(store: Store, project: str) -> int:
    """Return how many changes polls and full syncs have found that no webhook had brought."""
    last = store.records.get_latest_record(project, _MISSED)
    return int(last.body["total"]) if last else 0


def record_unreadable(store: Store, project: str, source: str, reasons: Iterable[str]) -> None:
    """Record why something was left out, each reason once; `source` is a webhook's action, "poll" or "sweep"."""
    source = printable(source)
    for reason in dict.fromkeys(printable(reason)[:_LONGEST_REASON] for reason in reasons):
        body = {"action": source, "reason": reason}
        store.records.create_record(project, _UNREADABLE, body, key=f"{source}: {reason}")


def list_unreadable(store: Store, project: str) -> list[str]:
    """Return the newest reasons why something could not be read, each once."""
    newest = store.records.list_records(project, _UNREADABLE, limit=10 * _REASONS_LISTED)
    return list(dict.fromkeys(str(record.body["reason"]) for record in newest))[:_REASONS_LISTED]


def _subtract_overlap(since: str) -> str:
    """Step back by the overlap; a version that is read twice is stored once."""
    if not since:
        return ""
    try:
        return (datetime.fromisoformat(since) - _OVERLAP).isoformat().replace("+00:00", "Z")
    except OverflowError:  # of the year 1
        return ""
