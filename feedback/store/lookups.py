"""Lookups: single versions, one person's words, and stretches of what is known, for sweeps that compare by pieces."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Select, and_, select

from feedback.store import schema
from feedback.store.engine import Database
from feedback.store.rows import Version


class Lookups:
    """Reads of the log and of stretches of task numbers; each is one query, whatever the project's size."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known_tasks(self, project: str, *, above: int, limit: int) -> list[int]:
        """Give the first `limit` tasks above a number that exist, in order."""
        table = schema.task.c
        query = select(table.id).where(table.project == project, table.id > above, ~table.gone)
        with self._database.read() as connection:
            return list(connection.execute(query.order_by(table.id).limit(limit)).scalars())

    def known_annotations(self, project: str, *, above: int, upto: int) -> dict[int, set[int]]:
        """Give the annotations that exist, by task, for the tasks above a number and up to another."""
        table = schema.annotation.c
        query = select(table.task, table.id).where(
            table.project == project, table.task > above, table.task <= upto, ~table.gone
        )
        found: dict[int, set[int]] = {}
        with self._database.read() as connection:
            for row in connection.execute(query):
                found.setdefault(row.task, set()).add(row.id)
        return found

    def version(self, project: str, seq: int) -> Version | None:
        """Give the version of an annotation that is event `seq` of its project; None where that is none."""
        told = schema.event.c
        with self._database.read() as connection:
            row = connection.execute(
                _versions(project).where(told.seq == seq, told.action.in_(("saved", "deleted")))
            ).one_or_none()
        return None if row is None else _version(row)

    def said_by(self, project: str, person: int) -> list[Version]:
        """Give every version that a person ever answered for, and the deletions of those annotations, oldest first."""
        told, now = schema.event.c, schema.annotation.c
        mine = select(now.id).where(now.project == project, now.person == person)
        with self._database.read() as connection:
            rows = connection.execute(_versions(project).where(told.entity_id.in_(mine)).order_by(told.seq)).all()
        return [_version(row) for row in rows]


def _versions(project: str) -> Select[Any]:
    told, kept = schema.event.c, schema.payload.c
    return (
        select(schema.event, kept.body)
        .outerjoin_from(schema.event, schema.payload, and_(kept.project == told.project, kept.seq == told.seq))
        .where(told.project == project, told.entity == "annotation")
    )


def _version(row: Any) -> Version:
    body = None if row.body is None else orjson.loads(row.body)
    return Version(row.entity_id, row.version, row.action, row.source, row.seq, row.received_s, body)
