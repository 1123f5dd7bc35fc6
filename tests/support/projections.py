"""What tests read of the projections beyond the store's own questions."""

from __future__ import annotations

import hashlib

import orjson
from sqlalchemy import select

from feedback.store import Store
from feedback.store.log.projections import compared
from feedback.store.log.replay import TABLES, _stored
from feedback.store.repositories.repository import of_current_task
from feedback.store.tables import main_tables


def projection_hash(store: Store, project: str) -> str:
    """Return a hash of the stored projections, independent of the order in which events arrived."""
    store.ingest_inbox()
    digest = hashlib.sha256()
    with store._database.read() as connection:
        for table in TABLES:
            digest.update(table.name.encode())
            for row in _stored(connection, table, project):
                digest.update(compared(row))
    return digest.hexdigest()


def list_problems(store: Store, project: str) -> list[tuple[int, tuple[str, ...]]]:
    """Return the annotations of which something could not be read, by id, each with the reasons."""
    table = main_tables.annotation.c
    query = select(table.id, table.problems).where(
        table.project == project, table.problems.is_not(None), ~table.is_deleted, of_current_task(table)
    )
    with store._database.read() as connection:
        rows = connection.execute(query.order_by(table.id)).all()
    return [(row.id, tuple(orjson.loads(row.problems))) for row in rows]
