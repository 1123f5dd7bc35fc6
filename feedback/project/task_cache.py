"""The roster: a project's tasks and what was drawn for each, kept between turns; only what changed is read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from feedback.project.splits import Draws
from feedback.store import Store
from ml_backend.records import Task

_MOST = 300_000  # tasks kept between turns, of all projects but the one that is read: about 2 kB each
_MANY = 5_000  # changed tasks above which reading all of them is quicker


@dataclass(frozen=True, slots=True)
class TaskTable:
    """The tasks that exist; every mapping is by task id, in its order."""

    tasks: Mapping[int, Task] = field(repr=False)
    units: Mapping[int, str] = field(repr=False)  # what the draws are made on
    roles: Mapping[int, str] = field(repr=False)
    doubled: frozenset[int] = field(repr=False)  # drawn for several blind votes


@dataclass(frozen=True, slots=True)
class _Kept:
    head: int  # the last event that it knows
    draws: Draws
    events: Mapping[int, int] = field(repr=False)  # task -> the event that it stands on
    task_table: TaskTable = field(repr=False)


_EMPTY = TaskTable({}, {}, {}, frozenset())


class TaskCache:
    """Remembers rolls of the projects that were read last. What it gives is what the store would give."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}  # the one that was read last is the last

    def read(self, store: Store, project: str, draws: Draws) -> TaskTable:
        """Give a project's roll as it is now."""
        head = store.events.get_head(project)  # first: what comes while we read is read again next time
        kept = self._kept.pop(project, None)
        if kept is None or kept.draws != draws:
            kept = _Kept(0, draws, {}, _EMPTY)
        if kept.head != head:
            kept = _newer(store, project, head, kept)
        self._kept[project] = kept
        self._drop()
        return kept.task_table

    def _drop(self) -> None:
        """Forget the projects that were not read for long."""
        names, tasks = list(self._kept), 0
        for name in reversed(names[:-1]):
            tasks += len(self._kept[name].task_table.tasks)
            if tasks > _MOST:
                del self._kept[name]


def _newer(store: Store, project: str, head: int, old: _Kept) -> _Kept:
    events = store.tasks.list_task_seqs(project)
    changed = [task for task, seq in events.items() if old.events.get(task) != seq]
    read = store.tasks.list_tasks(project, only=None if len(changed) > _MANY else changed)
    fresh = {task.id: task for task in read}
    ids = [task for task in events if task in fresh or task in old.task_table.tasks]
    new = [task for task in ids if task in fresh]
    units = [old.draws.unit(fresh[task].data) for task in new]
    drawn = zip(new, units, old.draws.roles(units), old.draws.doubled(units), strict=True)
    of_new = {task: (unit, role, doubled) for task, unit, role, doubled in drawn}
    task_table = old.task_table
    return _Kept(
        head,
        old.draws,
        events,
        TaskTable(
            tasks={task: fresh[task] if task in fresh else task_table.tasks[task] for task in ids},
            units={task: of_new[task][0] if task in of_new else task_table.units[task] for task in ids},
            roles={task: of_new[task][1] if task in of_new else task_table.roles[task] for task in ids},
            doubled=frozenset(
                task for task in ids if (of_new[task][2] if task in of_new else task in task_table.doubled)
            ),
        ),
    )
