"""Rooms: the review project of each tier, and the copies of cases that stand in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.review_task_content import review_label_config
from feedback.store import CaseRow, ProjectRow, Store
from feedback.store.log import events
from ml_backend.errors import LabelStudioError

_CLIENT_ERROR, _SERVER_ERROR = 400, 500  # statuses between are Label Studio's "no"


def ensure_review_project(
    store: Store, platform: LabellingPlatform, snapshot: ProjectSnapshot, tier: str, notes: list[str]
) -> str:
    """Give a tier's review project, made or put in step only where something changed since the last look.

    One that may have no webhook is polled all the same; `notes` hears why, and the next look tries again.
    """
    project = snapshot.project.id
    config = review_label_config(snapshot.config, tier, snapshot.policy)
    digest = hashlib.sha256(f"{config} {platform.review_webhook_id}".encode()).hexdigest()[:16]
    last = store.review_projects.list_review_projects(project).get(tier)
    if last is not None and last["config"] == digest:
        return str(last["room"])
    title = f"{snapshot.policy.tiers[tier].title or tier} · {snapshot.project.title or project}"
    made = platform.ensure_review_project(
        known=str(last["room"]) if last else "",
        marker=f"[hitl:{project}:{tier}]",
        title=title,
        label_config=config,
        description=f"Review of project {project}, tier {tier}; made and kept in step by hitl.",
    )
    row = store.projects.get_project(made) or ProjectRow(made)
    # reason: first, so that what the webhook brings is known to be for the source project's turn
    store.projects.save_project(replace(row, title=title, label_config=config, source=project))
    try:
        platform.register_review_webhook(made)
    except LabelStudioError as error:
        if error.status is None or not _CLIENT_ERROR <= error.status < _SERVER_ERROR:
            raise
        digest = ""
        notes.append(f"review project {made} has no webhook and is only polled: {error}")
    store.records.create_record(project, "room", {"tier": tier, "room": made, "config": digest})
    return made


def remove_stale_tasks(
    store: Store,
    platform: LabellingPlatform,
    room: str,
    live: Iterable[CaseRow],
    *,
    kept: Collection[int] = (),
    may_write: Callable[[], bool],
) -> int:
    """Remove the open copies that no case stands behind any more: decided, moved on, or put in twice by a kill.

    `kept` are honeypots.
    """
    expected = {case.review_task for case in live if case.review_project == room} | set(kept)
    extra = [row.id for row in store.tasks.list_task_rows(room, only_open=True) if row.id not in expected]
    for task in extra:
        if not may_write():
            break
        if store.annotations.list_annotations(room, task=task) or not platform.delete_review_task(room, task):
            continue  # somebody has answered it: it is part of the trail
        store.append(events.gone_tasks(room, [task], source="own"), want=None)
    return len(extra)
