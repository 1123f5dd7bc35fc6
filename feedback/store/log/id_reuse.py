"""Setting aside: what we remember of a task whose number has passed to another one is not said of that one."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from feedback.store.database.engine import chunks, dumps
from feedback.store.tables import main_tables, routing_tables
from feedback.store.tables.review_tables import next_case_change, override, review_case
from feedback.store.tables.routing_tables import indicator

REUSED_ID = "set aside"  # the kind of record that keeps which number a case had


def detach_reused_ids(connection: Connection, project: str, tasks: Collection[int]) -> None:
    """Move cases, decisions and signals of former tasks to negative ids, which Label Studio never uses.

    For all that read them these are tasks that no longer exist. A case is numbered after itself: several tasks may have
    had one number; a record keeps which, for who wants them forgotten. The new task is hidden from nobody yet.
    """
    for part in chunks(sorted(tasks)):
        case = review_case.c
        conditions = select(case.id, case.task, case.entered_s).where(case.project == project, case.task.in_(part))
        former = [
            {
                "project": project,
                "kind": REUSED_ID,
                "key": str(row.id),
                "body": dumps({"task": row.task, "case": row.id}),
                "at_s": row.entered_s,
            }
            for row in connection.execute(conditions)
        ]
        if former:
            connection.execute(main_tables.record.insert(), former)
        if former:
            moved = review_case.update().where(case.project == project, case.task.in_(part))
            connection.execute(moved.values(task=-case.id, change=next_case_change(connection, project)))
        for table in (routing_tables.decision, routing_tables.signal, override, indicator):
            old = (table.c.project == project, table.c.task.in_(part))
            connection.execute(table.update().where(*old).values(task=-table.c.task))
        payload = routing_tables.hidden_task
        connection.execute(payload.delete().where(payload.c.project == project, payload.c.task.in_(part)))
