"""Setting aside: what we remember of a task whose number has passed to another one is not said of that one."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from feedback.store import schema
from feedback.store.engine import chunks
from feedback.store.review_tables import override, review_case


def set_aside(connection: Connection, project: str, tasks: Collection[int]) -> None:
    """Keep cases, decisions and signals of former tasks under negative numbers, which Label Studio never gives.

    For all that read them these are tasks that no longer exist. A case is numbered after itself: several tasks may have
    had one number. The new task is hidden from nobody yet.
    """
    for part in chunks(sorted(tasks)):
        case = review_case.c
        connection.execute(
            review_case.update().where(case.project == project, case.task.in_(part)).values(task=-case.id)
        )
        for table in (schema.decision, schema.signal, override):
            old = (table.c.project == project, table.c.task.in_(part))
            connection.execute(table.update().where(*old).values(task=-table.c.task))
        kept = schema.kept_back
        connection.execute(kept.delete().where(kept.c.project == project, kept.c.task.in_(part)))
