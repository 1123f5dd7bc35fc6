"""The tasks that Label Studio has, with and without their data, their external ids, and those that routing hides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, and_, or_, select, true

from feedback.store.database.engine import chunks, plain, stream, without_garbage_collection
from feedback.store.log.projections import epoch_s
from feedback.store.repositories.repository import Repository, in_existing_project
from feedback.store.tables import main_tables, routing_tables
from feedback.store.tables.routing_tables import task_key
from ml_backend.records import Task

_AT_ONCE = 5000  # tasks in a transaction, so that no other process waits long


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task without its data."""

    id: int
    is_labeled: bool
    overlap: int
    content: str  # equal for equal data
    created_s: float  # 0.0 where Label Studio did not say


class TasksRepository(Repository):
    """Reads of projected tasks. A project that was deleted has none."""

    def list_tasks(self, project: str, *, only: Sequence[int] | None = None) -> list[Task]:
        """Return the tasks that exist, or those of some numbers, with their data, by id."""
        return [task for task, _content in self.list_tasks_with_content(project, only=only)]

    def list_tasks_with_content(self, project: str, *, only: Sequence[int] | None = None) -> list[tuple[Task, str]]:
        """Return the same, each with the name of its data, as `TaskRow.content` gives it."""
        if only is None:
            return self._tasks(project, true())
        return [pair for part in chunks(sorted(only)) for pair in self._tasks(project, main_tables.task.c.id.in_(part))]

    def get_task(self, project: str, number: int) -> Task | None:
        """Return one task, or None where it is unknown or deleted."""
        return next((task for task, _content in self._tasks(project, main_tables.task.c.id == number)), None)

    def list_task_rows(
        self, project: str, *, only_open: bool = False, only: Sequence[int] | None = None
    ) -> list[TaskRow]:
        """Return the tasks that exist, those that are open, or those of some numbers, without their data, by id."""
        table = main_tables.task.c
        query = select(table.id, table.is_labeled, table.overlap, table.content, table.created_at)
        query = query.where(in_existing_project(table, project), ~table.is_deleted).order_by(table.id)
        if only_open:
            query = query.where(~table.is_labeled)
        rows = self._list_rows(query) if only is None else self._list_rows_in(query, table.id, only)
        return [TaskRow(row.id, row.is_labeled, row.overlap, row.content[:32], epoch_s(row.created_at)) for row in rows]

    def list_newest_task_ids(self, project: str, *, limit: int) -> list[int]:
        """Return the largest ids of the tasks that exist, in ascending order."""
        table = main_tables.task.c
        query = select(table.id).where(in_existing_project(table, project), ~table.is_deleted)
        return sorted(self._list_values(query.order_by(table.id.desc()).limit(limit)))

    def _tasks(self, project: str, which: ColumnElement[bool]) -> list[tuple[Task, str]]:
        table, data = main_tables.task.c, main_tables.content.c
        columns = (table.id, data.data, table.is_labeled, table.overlap, table.created_at, table.version, table.content)
        query = (
            select(*columns)
            .select_from(main_tables.task_with_content)
            .where(in_existing_project(table, project), ~table.is_deleted, which)
            .order_by(table.id)
        )
        loads = orjson.loads
        with self._database.read() as connection, without_garbage_collection():
            return [
                (Task(number, loads(data), project, is_labeled, overlap, created_at, version), content[:32])
                for number, data, is_labeled, overlap, created_at, version, content in stream(connection, query)
            ]

    def list_task_creation_times(self, project: str, *, above: int, limit: int) -> dict[int, str]:
        """Return the first `limit` tasks above a number that exist, in order, each with its created_at."""
        table = main_tables.task.c
        query = select(table.id, table.created_at).where(table.project == project, table.id > above, ~table.is_deleted)
        return {row[0]: row[1] for row in self._list_rows(query.order_by(table.id).limit(limit))}

    def list_content_hashes(self, project: str) -> dict[int, str]:
        """Return the hash of the data that each task has now."""
        table = main_tables.task.c
        query = select(table.id, table.content).where(table.project == project, ~table.is_deleted)
        return {row[0]: row[1] for row in self._list_rows(query)}

    def get_task_data(self, project: str, task: int, content: str) -> Mapping[str, Any] | None:
        """Return a task's data as they were in a version; None where they are erased."""
        data = main_tables.content.c
        query = select(data.data).where(data.project == project, data.task == task, data.hash == content)
        found = self._get_value(query)
        return None if found is None else orjson.loads(found)

    def create_hidden_tasks(self, project: str, tasks: Iterable[int]) -> None:
        """Record tasks that are about to be hidden in Label Studio."""
        now_s = self._database.clock()
        rows = [{"project": project, "task": task, "since_s": now_s} for task in sorted(set(tasks))]
        with self._database.write() as connection:
            self._database.add(connection, routing_tables.hidden_task, rows)

    def list_hidden_tasks(self, project: str) -> dict[int, float]:
        """Return the hidden tasks, each with the time since when."""
        table = routing_tables.hidden_task.c
        return dict(map(tuple, self._list_rows(select(table.task, table.since_s).where(table.project == project))))

    def delete_hidden_tasks(self, project: str, tasks: Iterable[int]) -> None:
        """Record that tasks are no longer hidden."""
        table = routing_tables.hidden_task
        with self._database.write() as connection:
            for part in chunks(sorted(set(tasks))):
                connection.execute(table.delete().where(table.c.project == project, table.c.task.in_(part)))

    def index_external_ids(self, project: str, field: str, read: Callable[[Mapping[str, Any]], str]) -> int:
        """Index the tasks that are new, or whose data changed, under what `read` makes of them; return how many."""
        task, known, data = main_tables.task.c, task_key.c, main_tables.content.c
        query = (
            select(task.id, task.content, data.data)
            .select_from(main_tables.task_with_content)
            .outerjoin(task_key, and_(known.project == task.project, known.task == task.id))
            .where(task.project == project, ~task.is_deleted)
            .where(or_(known.task.is_(None), known.content != task.content, known.field != field))
        )
        with self._database.read() as connection:
            rows = [
                {
                    "project": project,
                    "task": row.id,
                    "field": field,
                    "key": plain(read(orjson.loads(row.data))) or None,
                    "content": row.content,
                }
                for row in stream(connection, query)
            ]
        for start in range(0, len(rows), _AT_ONCE):
            with self._database.write() as connection:
                self._database.upsert(connection, task_key, rows[start : start + _AT_ONCE])
        return len(rows)

    def list_tasks_by_external_id(self, project: str, field: str, key: str) -> list[int]:
        """Return the tasks that exist and have this value in the field, as far as they were indexed; a few at most."""
        task, known = main_tables.task.c, task_key.c
        query = (
            select(known.task)
            .join_from(
                task_key, main_tables.task, and_(task.project == known.project, task.id == known.task, ~task.is_deleted)
            )
            .where(known.project == project, known.field == field, known.key == plain(key))
            .order_by(known.task)
        )
        return self._list_values(query.limit(5))
