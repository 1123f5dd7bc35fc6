"""Hide in Label Studio the tasks that the first tier may not see, and show them again when it may."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.project.snapshot import ProjectSnapshot
from feedback.store import Store
from feedback.store.log import events
from feedback.training.consensus_labels import ConsensusLabels
from ml_backend.errors import NotFound
from ml_backend.records import Task

_MAX_CHANGES_PER_TURN = 200  # each is a request of about 0.06 s, and the next turn waits for them
_MAX_CHECKED_PER_TURN = 3000  # withheld tasks that Label Studio is asked about, ten requests; others by the store


@dataclass(frozen=True, slots=True)
class HideResult:
    """How many tasks were hidden and shown, and how many are left for another turn."""

    hidden: int
    shown: int
    left: int


def hide_withheld_tasks(
    store: Store,
    platform: LabellingPlatform,
    snapshot: ProjectSnapshot,
    labels: ConsensusLabels,
    *,
    may_write: Callable[[], bool],
    now_s: float,
) -> HideResult:
    """Hide the tasks that the routes keep from the first tier, and show those that they no longer keep from it.

    Label Studio Community cannot refuse a task to anyone: a task that is marked as labelled is out of the label stream.
    Each task is recorded before it is hidden, so that after a kill no hidden task is unknown. A task that people have
    settled meanwhile stays as it is. Tasks of the served window are hidden first: they are on their way to people.
    """
    project = snapshot.project.id
    hidden_before = store.tasks.list_hidden_tasks(project)
    if not hidden_before and not snapshot.routes.held:
        return HideResult(0, 0, 0)
    settled = {label.task for label in labels.settled}
    withheld = {task for task in snapshot.routes.held if task in snapshot.tasks and task not in settled}
    store.tasks.delete_hidden_tasks(
        project, [task for task in hidden_before if task in settled or task not in snapshot.tasks]
    )
    free = sorted(
        task for task in hidden_before if task in snapshot.tasks and task not in settled and task not in withheld
    )
    servable = _list_servable(platform, snapshot, withheld, now_s=now_s)
    window = set[int]()
    if len(servable) > _MAX_CHANGES_PER_TURN:
        window = {row.task for row in store.windows.get_window(project)}
    due = sorted(servable, key=lambda task: (task not in window, task))
    store.tasks.create_hidden_tasks(project, due[:_MAX_CHANGES_PER_TURN])
    hidden = shown = 0
    for task in due[:_MAX_CHANGES_PER_TURN]:
        if not may_write():
            break
        _change(store, partial(platform.hide_task, project, task), now_s)
        hidden += 1
    for task in free[:_MAX_CHANGES_PER_TURN]:
        if not may_write():
            break
        _change(store, partial(platform.reopen_task, project, task, max(1, snapshot.tasks[task].overlap)), now_s)
        store.tasks.delete_hidden_tasks(project, [task])
        shown += 1
    return HideResult(hidden, shown, len(due) + len(free) - hidden - shown)


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


def _change(store: Store, change: Callable[[], Task], now_s: float) -> None:
    """Change a task in Label Studio and store how it is now; a task that was deleted meanwhile is no error."""
    with suppress(NotFound):
        store.append([events.event_from_task(change(), "own", seen_s=now_s)], want=None)
