"""A project's tasks and their random draws, kept between turns; only changed tasks are read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from feedback.project.audit_splits import Splits
from feedback.project.incremental_caches import Changes, RecentProjects
from feedback.store import Store
from feedback.store.repositories.event_queries import ProjectHeads
from ml_backend.records import Task

_MANY = 5_000  # changed tasks above which reading all of them is quicker

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class TaskTable:
    """The tasks that exist; every mapping is by task id, in its order."""

    tasks: Mapping[int, Task] = field(repr=False)
    dedup_keys: Mapping[int, str] = field(repr=False)  # what the draws are made on
    roles: Mapping[int, str] = field(repr=False)
    overlap_sample: frozenset[int] = field(repr=False)  # drawn for several blind votes
    changes: Changes = field(default=Changes(), compare=False)


@dataclass(frozen=True, slots=True)
class _Kept:
    heads: ProjectHeads
    splits: Splits
    table: TaskTable = field(repr=False)


class TaskCache:
    """Keeps the task tables of the projects read last. A table always equals a fresh read of the store."""

    def __init__(self) -> None:
        self._kept = RecentProjects[_Kept]()

    def read(self, store: Store, project: str, splits: Splits, *, heads: ProjectHeads | None = None) -> TaskTable:
        """Return a project's task table as it is now."""
        heads = heads or store.events.get_heads(project)  # first: what comes while we read is read again next time
        kept = self._kept.get(project)
        table = _read(store, project, splits, heads, kept)
        self._kept.put(project, _Kept(heads, splits, table), size=len(table.tasks))
        return table


def _read(store: Store, project: str, splits: Splits, heads: ProjectHeads, kept: _Kept | None) -> TaskTable:
    if kept is None or kept.heads.rebuilt != heads.rebuilt:
        return _all(store, project, splits)
    table = kept.table
    if kept.heads.seq != heads.seq:
        changes = store.events.list_changes(project, kept.heads.seq)
        if changes.described or len(changes.tasks) > _MANY:
            return _all(store, project, splits)
        if changes.tasks:
            table = _updated(store, project, splits, table, changes.tasks)
    if kept.splits != splits:
        return _drawn(splits, table.tasks, table.dedup_keys)
    return table


def _all(store: Store, project: str, splits: Splits) -> TaskTable:
    read = store.tasks.list_tasks_with_content(project)
    tasks = {task.id: task for task, _content in read}
    return _drawn(splits, tasks, {task.id: splits.dedup_key_of(content) for task, content in read})


def _drawn(splits: Splits, tasks: Mapping[int, Task], dedup_keys: Mapping[int, str]) -> TaskTable:
    keys = list(dedup_keys.values())
    roles = dict(zip(tasks, splits.roles(keys), strict=True))
    drawn = frozenset(task for task, is_in in zip(tasks, splits.in_overlap_sample(keys), strict=True) if is_in)
    return TaskTable(tasks, dedup_keys, roles, drawn, Changes.everything())


def _updated(store: Store, project: str, splits: Splits, old: TaskTable, changed: Iterable[int]) -> TaskTable:
    changed = sorted(changed)
    read = store.tasks.list_tasks_with_content(project, only=changed)
    tasks = {task.id: task for task, _content in read}
    keys = {task.id: splits.dedup_key_of(content) for task, content in read}
    roles = dict(zip(tasks, splits.roles([*keys.values()]), strict=True))
    in_sample = splits.in_overlap_sample([*keys.values()])
    drawn = frozenset(task for task, is_in in zip(tasks, in_sample, strict=True) if is_in)
    return TaskTable(
        tasks=merged(old.tasks, tasks, changed),
        dedup_keys=merged(old.dedup_keys, keys, changed),
        roles=merged(old.roles, roles, changed),
        overlap_sample=(old.overlap_sample - frozenset(changed)) | drawn,
        changes=old.changes.then(changed),
    )


def merged(old: Mapping[int, _Value], new: Mapping[int, _Value], changed: Iterable[int]) -> dict[int, _Value]:
    """Return `old` with the entries of `changed` as `new` has them, by key; those that `new` lacks are left out.

    >>> merged({1: "a", 3: "c"}, {2: "b"}, [2, 3])
    {1: 'a', 2: 'b'}
    """
    found = dict(old)
    added = [key for key in new if key not in found]
    for key in changed:
        if key not in new:
            found.pop(key, None)
    last = next(reversed(found), None)
    found.update(new)
    if last is not None and added and min(added) < last:
        return {key: found[key] for key in sorted(found)}  # not the items: so many tuples start the garbage collector
    return found
