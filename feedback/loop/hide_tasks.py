"""Hide in Label Studio the tasks that the first tier may not see, and show them again when it may."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import takewhile

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.loop.context import TurnContext
from feedback.project.snapshot import ProjectSnapshot
from feedback.store.log import events
from ml_backend.errors import LabelStudioError, NotFound
from ml_backend.left_out import RequestRows
from ml_backend.records import Task

_MAX_CHANGES_PER_TURN = 200  # each is a request of about 0.06 s, and the next turn waits for them
_MAX_CHECKED_PER_TURN = 3000  # withheld tasks that Label Studio is asked about, ten requests; others by the store


def hide_tasks(context: TurnContext) -> TurnContext:
    """Hide in Label Studio the tasks that the routes keep from the first tier, and show those that it may see again.

    Label Studio Community cannot refuse a task to anyone: a task that is marked as labelled is out of the label stream.
    Each task is recorded before it is hidden, so that after a kill no hidden task is unknown. A task that people have
    settled meanwhile stays as it is. Tasks of the served window are hidden first: they are on their way to people.
    """
    platform = context.platform
    if platform is None:
        return context
    try:
        shown, left = _hide_and_show(context, platform)
    except LabelStudioError as error:
        return context.noted(f"not all tasks were hidden or shown as the routing decides: {error}")
    if (left or shown) and context.may_write():
        context.request_turn()
    return context.noted(f"{left} tasks are still to be hidden or shown") if left else context


def _hide_and_show(context: TurnContext, platform: LabellingPlatform) -> tuple[int, int]:
    """Return how many tasks were shown again, and how many changes are left for another turn."""
    store, snapshot, project = context.store, context.snapshot, context.project_id
    hidden_before = store.tasks.list_hidden_tasks(project)
    if not hidden_before and not snapshot.routes.held:
        return 0, 0
    settled = {label.task for label in context.consensus_labels.settled}
    known = {task for task in hidden_before if task in snapshot.tasks and task not in settled}
    withheld = {task for task in snapshot.routes.held if task in snapshot.tasks and task not in settled}
    store.tasks.delete_hidden_tasks(project, [task for task in hidden_before if task not in known])
    free = sorted(known - withheld)
    servable = _list_servable(platform, snapshot, withheld, now_s=context.services.clock())
    window = set[int]()
    if len(servable) > _MAX_CHANGES_PER_TURN:
        window = {row.task for row in store.windows.get_window(project)}
    due = sorted(servable, key=lambda task: (task not in window, task))
    store.tasks.create_hidden_tasks(project, due[:_MAX_CHANGES_PER_TURN])
    hidden = shown = 0
    requests = RequestRows("hide or show")
    for task in _while_allowed(context, due):
        hidden += 1
        with requests.row(f"task {task}"):
            _change(context, partial(platform.hide_task, project, task))
    for task in _while_allowed(context, free):
        shown += 1
        with requests.row(f"task {task}"):
            _change(context, partial(platform.reopen_task, project, task, max(1, snapshot.tasks[task].overlap)))
            store.tasks.delete_hidden_tasks(project, [task])
    return shown, len(due) + len(free) - hidden - shown


def _while_allowed(context: TurnContext, tasks: list[int]) -> Iterable[int]:
    """Yield the tasks of one turn as long as we may write."""
    return takewhile(lambda _task: context.may_write(), tasks[:_MAX_CHANGES_PER_TURN])


def _list_servable(
    platform: LabellingPlatform, snapshot: ProjectSnapshot, withheld: set[int], *, now_s: float
) -> set[int]:
    """Return the withheld tasks that Label Studio would serve now.

    Label Studio is read, too: after a change of settings it recomputes `is_labeled` for all tasks without an event.
    """
    if not withheld:
        return set()
    known = {task for task in withheld if not snapshot.tasks[task].is_labeled}
    others = sorted(withheld - known)
    start = int(now_s) % max(1, len(others))  # another part of them in each turn
    asked = (others[start:] + others[:start])[:_MAX_CHECKED_PER_TURN]
    return known | (set(platform.list_servable_tasks(snapshot.project.id, asked)) if asked else set())


def _change(context: TurnContext, change: Callable[[], Task]) -> None:
    """Change a task in Label Studio and store how it is now; a task that was deleted meanwhile is no error."""
    with suppress(NotFound):
        changed = events.event_from_task(change(), "own", seen_s=context.services.clock())
        context.store.append([changed], want=None)
