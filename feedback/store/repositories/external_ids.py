"""The external ids: an index of tasks by one field of their data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from sqlalchemy import and_, or_, select

from feedback.store.database.engine import plain, stream
from feedback.store.repositories.repository import Repository
from feedback.store.tables import main_tables
from feedback.store.tables.routing_tables import task_key

_AT_ONCE = 5000  # tasks in a transaction, so that no other process waits long


class ExternalIdsRepository(Repository):
    """The names that other systems have for tasks."""

    def index_tasks(self, project: str, field: str, read: Callable[[Mapping[str, Any]], str]) -> int:
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

    def list_tasks(self, project: str, field: str, key: str) -> list[int]:
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
