"""Reuse of ids: what is stored about a former task is moved away when Label Studio gives its id to another task."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from feedback.store.database.engine import Database, chunks, dumps
from feedback.store.tables import main_tables, routing_tables
from feedback.store.tables.review_tables import next_case_change, override, review_case
from feedback.store.tables.routing_tables import indicator

REUSED_ID = "reused id"  # the kind of record that keeps the task id that a case had


def detach_reused_ids(database: Database, connection: Connection, project: str, tasks: Collection[int]) -> None:
    """Move cases, decisions and signals of former tasks to negative ids, which Label Studio never uses.

    Readers see tasks that do not exist. A case gets its own negative id, because several tasks may have had one id; a
    record keeps which, for a later erasure. The new task is not hidden.
    """
    for part in chunks(sorted(tasks)):
        case = review_case.c
        query = select(case.id, case.task, case.entered_s).where(case.project == project, case.task.in_(part))
        former = [
            {
                "project": project,
                "kind": REUSED_ID,
                "key": str(row.id),
                "body": dumps({"task": row.task, "case": row.id}),
                "at_s": row.entered_s,
            }
            for row in connection.execute(query)
        ]
        if former:
            connection.execute(main_tables.record.insert(), former)
            # the caches of cases read by change number: without the lock another move might commit the same one later
            database.lock(connection, f"cases {project}")
            moved = review_case.update().where(case.project == project, case.task.in_(part))
            connection.execute(moved.values(task=-case.id, change=next_case_change(connection, project)))
        for table in (routing_tables.decision, routing_tables.signal, override, indicator):
            old = (table.c.project == project, table.c.task.in_(part))
            connection.execute(table.update().where(*old).values(task=-table.c.task))
        hidden = routing_tables.hidden_task
        connection.execute(hidden.delete().where(hidden.c.project == project, hidden.c.task.in_(part)))
