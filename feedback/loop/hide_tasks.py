"""Holding: what may not be seen in the first tier is marked as labelled, and stays so whatever others change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from feedback.labelling_platform.interface import LabellingPlatform
from feedback.project.snapshot import ProjectSnapshot
from feedback.store import Store
from feedback.store.log import events
from ml_backend.errors import LabelStudioError
from ml_backend.records import Task

_AT_ONCE = 200  # changes a turn: each is a request of about 0.06 s, and others wait for the turn's end
_NOT_FOUND = 404
_CHECKED = 3000  # held tasks a turn that Label Studio is asked about, ten requests; others by what the store knows


@dataclass(frozen=True, slots=True)
class Kept:
    """What was done, and what another turn must do."""

    hidden: int
    shown: int
    left: int


def hold_back(
    store: Store,
    platform: LabellingPlatform,
    snapshot: ProjectSnapshot,
    settled: frozenset[int],
    *,
    may_write: Callable[[], bool],
    now_s: float,
) -> Kept:
    """Hide what the routes keep from the first tier, show again what they no longer do.

    Label Studio Community cannot refuse a task to anyone: marking it as labelled keeps it out of the label stream.
    Each task is noted before it is hidden, so that a kill leaves nothing hidden that nobody remembers. What people
    settled meanwhile is done and stays as it is. What stands in the window is hidden first: it is on its way to people.
    """
    project = snapshot.project.id
    kept = store.tasks.list_hidden_tasks(project)
    wanted = {task for task in snapshot.routes.held if task in snapshot.tasks and task not in settled}
    store.tasks.delete_hidden_tasks(project, [task for task in kept if task in settled or task not in snapshot.tasks])
    free = sorted(task for task in kept if task in snapshot.tasks and task not in settled and task not in wanted)
    seen = _seen(platform, snapshot, wanted, now_s=now_s)
    front = {row.task for row in store.windows.get_window(project)} if len(seen) > _AT_ONCE else set[int]()
    hide = sorted(seen, key=lambda task: (task not in front, task))
    store.tasks.create_hidden_tasks(project, hide[:_AT_ONCE])
    hidden = shown = 0
    for task in hide[:_AT_ONCE]:
        if not may_write():
            break
        _change(store, partial(platform.hide_task, project, task), now_s)
        hidden += 1
    for task in free[:_AT_ONCE]:
        if not may_write():
            break
        _change(store, partial(platform.reopen_task, project, task, max(1, snapshot.tasks[task].overlap)), now_s)
        store.tasks.delete_hidden_tasks(project, [task])
        shown += 1
    return Kept(hidden, shown, len(hide) + len(free) - hidden - shown)


def _seen(platform: LabellingPlatform, snapshot: ProjectSnapshot, wanted: set[int], *, now_s: float) -> set[int]:
    """Those that Label Studio would hand out now: a change of its settings counts all tasks anew, and tells nobody."""
    if not wanted:
        return set()
    known = {task for task in wanted if not snapshot.tasks[task].is_labeled}
    others = sorted(wanted - known)
    start = int(now_s) % max(1, len(others))  # the stretch that is asked about begins elsewhere each turn
    asked = (others[start:] + others[:start])[:_CHECKED]
    return known | (set(platform.list_servable_tasks(snapshot.project.id, asked)) if asked else set())


def _change(store: Store, change: Callable[[], Task], now_s: float) -> None:
    """Change a task in Label Studio and note how it is now; one that was deleted meanwhile stops nothing."""
    try:
        task = change()
    except LabelStudioError as error:
        if error.status != _NOT_FOUND:
            raise
        return
    store.append([events.of_one_task(task, "own", seen_s=now_s)], want=None)
