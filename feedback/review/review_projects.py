"""The review project of each tier: created or updated in Label Studio, and cleared of stale review tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.review.review_context import ReviewContext
from feedback.review.review_task_content import review_label_config
from feedback.store import ProjectRow, ReviewProjectRow
from feedback.store.log import events
from ml_backend.errors import LabelStudioError


def ensure_review_project(context: ReviewContext, platform: LabellingPlatform, tier: str) -> str:
    """Return the id of a tier's review project; create or update it if its label config or its webhook changed.

    A review project that cannot have a webhook is only polled: the notes get the reason, and the next turn tries again.
    """
    store, snapshot, project = context.store, context.snapshot, context.project
    config = review_label_config(snapshot.config, tier, snapshot.policy)
    digest = hashlib.sha256(f"{config} {platform.review_webhook_id}".encode()).hexdigest()[:16]
    last = store.review_projects.list_review_projects(project).get(tier)
    if last is not None and last.config_digest == digest:
        return last.id
    title = f"{snapshot.policy.tiers[tier].title or tier} · {snapshot.project.title or project}"
    review_project = platform.ensure_review_project(
        known=last.id if last else "",
        marker=f"[hitl:{project}:{tier}]",
        title=title,
        label_config=config,
        description=f"Review of project {project}, tier {tier}. hitl creates and updates this project.",
    )
    row = store.projects.get_project(review_project) or ProjectRow(review_project)
    # before the webhook: its events must find the source project whose turn reads them
    store.projects.save_project(replace(row, title=title, label_config=config, source=project))
    try:
        platform.register_review_webhook(review_project)
    except LabelStudioError as error:
        if not error.is_refusal:
            raise
        digest = ""
        context.result.notes.append(f"review project {review_project} has no webhook and is only polled: {error}")
    store.review_projects.save_review_project(project, ReviewProjectRow(review_project, tier, digest))
    return review_project


def delete_stale_review_tasks(
    context: ReviewContext, platform: LabellingPlatform, review_project: str, expected: Collection[int | None]
) -> None:
    """Delete the unanswered review tasks that are not expected.

    Their case was decided or moved to another tier, or a kill made an import run twice.
    """
    store = context.store
    stale = [row.id for row in store.tasks.list_task_rows(review_project, only_open=True) if row.id not in expected]
    for task in stale:
        if not context.may_write():
            break
        if store.annotations.list_annotations(review_project, task=task):
            continue  # somebody has answered it: it is part of the case's history
        if platform.delete_review_task(review_project, task):
            store.append(events.task_deletions(review_project, [task], source="own"), want=None)
