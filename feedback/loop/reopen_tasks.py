"""Reopen tasks in Label Studio that need more votes, so that another person may answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from feedback.project.incremental_caches import Changes
from feedback.store.log import events
from feedback.store.repositories.event_queries import ProjectHeads
from ml_backend.errors import LabelStudioError
from ml_backend.left_out import RequestRows

if TYPE_CHECKING:
    from feedback.loop.context import TurnContext

_MAX_TASKS_PER_TURN = 200  # each is a request of about 0.1 s, and the next turn waits for them


@dataclass(frozen=True, slots=True)
class OpenTasks:
    """Tasks that were found open for another vote, and at which state of the project."""

    snapshot: Changes
    heads: ProjectHeads
    votes: dict[int, int]  # task -> the votes that it had then


def reopen_tasks(context: TurnContext) -> TurnContext:
    """Open the tasks that need more votes for one more person each, a number of them a turn; safe to repeat.

    Runs after review, which has reopened its own tasks already.
    """
    platform, snapshot, store, project = context.platform, context.snapshot, context.store, context.project_id
    if platform is None:
        return context
    is_open = _known_open(context)
    due = [
        (task, votes)
        for task, votes in context.consensus_labels.needs_more_votes.items()
        if task not in snapshot.routes.held and is_open.get(task) != votes
    ]
    # Label Studio counts all answers: also ours, and those that no longer count
    annotators = store.annotations.count_annotators(project, [task for task, _votes in due])
    opened, requests = list[events.Event](), RequestRows("re-open")
    for task, votes in due:
        row, given = snapshot.tasks[task], max(votes, annotators.get(task, 0))
        if not row.is_labeled and row.overlap > given:
            is_open[task] = votes
            continue
        if len(opened) >= _MAX_TASKS_PER_TURN:
            context.request_turn()
            break
        if not context.may_write():
            break
        try:
            with requests.row(f"task {task}"):
                now = platform.reopen_task(project, task, given + 1)
                opened.append(events.event_from_task(now, "own", seen_s=context.services.clock()))
                continue
        except LabelStudioError as error:
            context = context.noted(f"task {task} was not re-opened: {error}")
            break
        is_open[task] = votes  # type: ignore[unreachable]  # left out: it is tried again when something happens to it
    if opened:  # together: after a kill before this, the next poll brings what it left out
        store.append(opened, want=None)
    return replace(context, reopened=len(opened))


def _known_open(context: TurnContext) -> dict[int, int]:
    """Return the tasks that were open at the last check and that no event has been about since."""
    store, snapshot, project = context.store, context.snapshot, context.project_id
    heads, kept = store.events.get_heads(project), context.services.reopened.get(project)
    moved = None if kept is None else snapshot.changes.since(kept.snapshot.revision)
    is_open: dict[int, int] = {}
    if kept is not None and moved is not None and kept.heads.own_marks == heads.own_marks:
        is_open = kept.votes
        changes = store.events.list_changes(project, kept.heads.seq) if kept.heads.seq != heads.seq else None
        for task in moved if changes is None else moved | changes.tasks | changes.annotated:
            is_open.pop(task, None)
        if changes is not None and (changes.erased or changes.described):
            is_open = {}
    context.services.reopened.put(project, OpenTasks(snapshot.changes, heads, is_open), size=len(is_open))
    return is_open
