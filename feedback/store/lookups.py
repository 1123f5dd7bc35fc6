"""Lookups: single versions, one person's words, and stretches of what is known, for sweeps that compare by pieces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Select, and_, distinct, func, select

from feedback.store import schema
from feedback.store.engine import Database, chunks, stream
from feedback.store.reads import _of_living_task
from feedback.store.rows import Record, Version


class Lookups:
    """Reads of the log and of stretches of task numbers; each is one query, whatever the project's size."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def head(self, project: str) -> int:
        """Count the events of a project: while it is the same, nothing was told that we did not know."""
        table = schema.chain.c
        with self._database.read() as connection:
            return int(connection.execute(select(table.seq).where(table.project == project)).scalar() or 0)

    def task_events(self, project: str) -> dict[int, int]:
        """Give the tasks that exist, by id, each with the number of the event that it stands on."""
        table, described = schema.task.c, schema.described.c
        gone = select(described.project).where(described.project == project, described.gone)
        query = select(table.id, table.seq).where(table.project == project, ~table.gone, ~gone.exists())
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query.order_by(table.id))}

    def known_tasks(self, project: str, *, above: int, limit: int) -> dict[int, str]:
        """Give the first `limit` tasks above a number that exist, in order, each with its created_at."""
        table = schema.task.c
        query = select(table.id, table.created_at).where(table.project == project, table.id > above, ~table.gone)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query.order_by(table.id).limit(limit))}

    def known_annotations(self, project: str, *, above: int, upto: int, before: str = "") -> dict[int, dict[int, str]]:
        """Give the annotations that exist, each with its created_at, for the tasks above a number and up to another.

        With `before` (the task's updated_at as just read), without newer ones.
        """
        table = schema.annotation.c
        query = select(table.task, table.id, table.created_at).where(
            table.project == project, table.task > above, table.task <= upto, ~table.gone
        )
        if before:
            query = query.where(table.version <= before)
        found: dict[int, dict[int, str]] = {}
        with self._database.read() as connection:
            for task, annotation, created_at in connection.execute(query):
                found.setdefault(task, {})[annotation] = created_at
        return found

    def people_on(self, project: str, tasks: Sequence[int]) -> dict[int, int]:
        """Count the people, us included, whose answers stand on each of these tasks; skips are none."""
        table = schema.annotation.c
        counted = select(table.task, func.count(distinct(func.coalesce(table.person, 0)))).group_by(table.task)
        found: dict[int, int] = {}
        with self._database.read() as connection:
            for part in chunks(sorted(set(tasks))):
                here = (table.project == project, table.task.in_(part), ~table.gone, ~table.was_cancelled)
                found.update(
                    (row[0], row[1]) for row in connection.execute(counted.where(*here, _of_living_task(table)))
                )
        return found

    def annotation_ids(self, project: str, task: int) -> set[int]:
        """Give the ids of a task's annotations that exist."""
        return set(self.known_annotations(project, above=task - 1, upto=task).get(task, ()))

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
        found: list[Version] = []
        with self._database.read() as connection:
            # the whole log is read: an annotation may have changed hands, and each keeps what was theirs
            for row in stream(connection, _versions(project).order_by(schema.event.c.seq)):
                version = _version(row)
                theirs = version.body is not None and version.body.get("person") == person
                if theirs or (version.action == "deleted" and any(one.annotation == row.entity_id for one in found)):
                    found.append(version)
        return found

    def records_about(self, project: str, person: int) -> list[Record]:
        """Give every record that names a person, oldest first."""
        table = schema.record
        found: list[Record] = []
        with self._database.read() as connection:
            for row in stream(connection, select(table).where(table.c.project == project).order_by(table.c.id)):
                body = orjson.loads(row.body)
                if _names(body, person):
                    found.append(Record(row.id, row.project, row.kind, row.key or "", body, row.at_s))
        return found

    def is_persons(self, project: str, annotation: int) -> bool:
        """Whether a person made an annotation by hand: no import, none of our own."""
        table, own, named = schema.annotation.c, schema.own_annotation.c, schema.own_unique.c
        query = select(table.id).where(
            table.project == project,
            table.id == annotation,
            table.source == "person",
            ~select(own.id).where(own.project == project, own.id == annotation).exists(),
            ~select(named.unique_id).where(named.project == project, named.unique_id == table.unique_id).exists(),
        )
        with self._database.read() as connection:
            return connection.execute(query).one_or_none() is not None

    def forgotten(self) -> list[tuple[str, str, int, str]]:
        """Give everything that was ever forgotten: project, "annotation" or "task", number, and until which life."""
        told = schema.event.c
        query = select(told.project, told.entity, told.entity_id, told.version).where(told.action == "forgotten")
        with self._database.read() as connection:
            return [(row.project, row.entity, row.entity_id, row.version) for row in connection.execute(query)]


def _names(value: Any, person: int) -> bool:
    """Whether JSON holds {"person": person}, or a table by people: {"people": {"7": ...}}."""
    if isinstance(value, list):
        return any(_names(one, person) for one in value)
    if not isinstance(value, dict):
        return False
    people = value.get("people")
    listed = isinstance(people, list | dict) and (person in people or str(person) in people)
    return value.get("person") == person or listed or any(_names(one, person) for one in value.values())


def _versions(project: str) -> Select[Any]:
    told, kept = schema.event.c, schema.payload.c
    return (
        select(schema.event, kept.body)
        .outerjoin_from(schema.event, schema.payload, and_(kept.project == told.project, kept.seq == told.seq))
        .where(told.project == project, told.entity == "annotation")
    )


def _version(row: Any) -> Version:
    body = None if row.body is None else orjson.loads(row.body)
    version = row.version if row.action == "saved" else ""  # the log names there what a deletion ended
    return Version(row.entity_id, version, row.action, row.source, row.seq, row.received_s, body)
