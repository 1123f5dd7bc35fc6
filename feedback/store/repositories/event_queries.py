"""Lookups: single versions, one person's words, and stretches of what is known, for sweeps that compare by pieces."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import Select, and_, distinct, func, select

from feedback.store.database.engine import Database, chunks, stream
from feedback.store.log.erase import cases_of, forgotten_people
from feedback.store.repositories.votes import _of_living_task
from feedback.store.rows import Version
from feedback.store.tables import main_tables
from feedback.store.tables.json_redaction import names
from feedback.store.tables.personal_data import Whom, places


class Lookups:
    """Reads of the log and of stretches of task numbers; each is one query, whatever the project's size."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def head(self, project: str) -> int:
        """Count the events of a project: while it is the same, nothing was told that we did not know."""
        table = main_tables.chain.c
        with self._database.read() as connection:
            return int(connection.execute(select(table.seq).where(table.project == project)).scalar() or 0)

    def task_events(self, project: str) -> dict[int, int]:
        """Give the tasks that exist, by id, each with the number of the event that it stands on."""
        table, described = main_tables.task.c, main_tables.described.c
        gone = select(described.project).where(described.project == project, described.gone)
        query = select(table.id, table.seq).where(table.project == project, ~table.gone, ~gone.exists())
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query.order_by(table.id))}

    def known_tasks(self, project: str, *, above: int, limit: int) -> dict[int, str]:
        """Give the first `limit` tasks above a number that exist, in order, each with its created_at."""
        table = main_tables.task.c
        query = select(table.id, table.created_at).where(table.project == project, table.id > above, ~table.gone)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query.order_by(table.id).limit(limit))}

    def known_annotations(self, project: str, *, above: int, upto: int, before: str = "") -> dict[int, dict[int, str]]:
        """Give the annotations that exist, each with its created_at, for the tasks above a number and up to another.

        With `before` (the task's updated_at as just read), without newer ones.
        """
        table = main_tables.annotation.c
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
        table = main_tables.annotation.c
        counted = select(table.task, func.count(distinct(func.coalesce(table.person, 0)))).group_by(table.task)
        found: dict[int, int] = {}
        with self._database.read() as connection:
            for part in chunks(sorted(set(tasks))):
                here = (table.project == project, table.task.in_(part), ~table.gone, ~table.was_cancelled)
                found.update(
                    (row[0], row[1]) for row in connection.execute(counted.where(*here, _of_living_task(table)))
                )
        return found

    def version(self, project: str, seq: int) -> Version | None:
        """Give the version of an annotation that is event `seq` of its project; None where that is none."""
        told = main_tables.event.c
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
            for row in stream(connection, _versions(project).order_by(main_tables.event.c.seq)):
                version = _version(row)
                theirs = version.body is not None and version.body.get("person") == person
                if theirs or (version.action == "deleted" and any(one.annotation == row.entity_id for one in found)):
                    found.append(version)
        return found

    def held_of(self, whom: Whom) -> dict[str, list[dict[str, Any]]]:
        """Give every row that says something of somebody, by table: see `store.tables.personal_data`."""
        found: dict[str, list[dict[str, Any]]] = {}
        with self._database.read() as connection:
            for place, where in places(whom):
                rows = connection.execute(select(place.table).where(where).order_by(*place.table.primary_key))
                found[place.table.name] = [_read(row._asdict()) for row in rows]
            table, options = (
                main_tables.record,
                select(main_tables.project.c.options).where(main_tables.project.c.id == whom.project),
            )
            records = stream(connection, select(table).where(table.c.project == whom.project).order_by(table.c.id))
            read = (_read(row._asdict()) for row in records)
            found[table.name] = [one for one in read if names(one["body"], whom)]
            policy = orjson.loads(connection.execute(options).scalar() or "{}").get("policy") or {}
            people: Mapping[str, Any] = policy.get("people", {})
            found["policy"] = [{"email": name, **one} for name, one in people.items() if names({name: one}, whom)]
        return {name: rows for name, rows in found.items() if rows}

    def forgotten_annotations(self, project: str) -> set[int]:
        """Give the numbers of all annotations of a project that were ever forgotten."""
        told = main_tables.event.c
        query = select(told.entity_id).where(
            told.project == project, told.entity == "annotation", told.action == "forgotten"
        )
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def cases_of(self, project: str, task: int) -> frozenset[int]:
        """Give the cases of a task, and of former tasks that had its number."""
        with self._database.read() as connection:
            return cases_of(connection, project, {task})

    def honeypots(self, cases: Collection[int]) -> list[Mapping[str, Any]]:
        """Give the records of the honeypots that were made of these cases: room, task, case."""
        table = main_tables.record.c
        with self._database.read() as connection:
            bodies = connection.execute(select(table.body).where(table.kind == "honeypot")).scalars()
            return [body for body in map(orjson.loads, bodies) if body["case"] in cases]

    def is_persons(self, project: str, annotation: int) -> bool:
        """Whether a person made an annotation by hand: no import, none of our own."""
        table, own, named = main_tables.annotation.c, main_tables.own_annotation.c, main_tables.own_unique.c
        query = select(table.id).where(
            table.project == project,
            table.id == annotation,
            table.source == "person",
            ~select(own.id).where(own.project == project, own.id == annotation).exists(),
            ~select(named.unique_id).where(named.project == project, named.unique_id == table.unique_id).exists(),
        )
        with self._database.read() as connection:
            return connection.execute(query).one_or_none() is not None

    def forgotten_people(self) -> list[tuple[str, int]]:
        """Give everybody who was ever forgotten, by project and number."""
        with self._database.read() as connection:
            return forgotten_people(connection)

    def forgotten(self) -> list[tuple[str, str, int, str]]:
        """Give everything that was ever forgotten: project, "annotation" or "task", number, and until which life."""
        told = main_tables.event.c
        query = select(told.project, told.entity, told.entity_id, told.version).where(told.action == "forgotten")
        with self._database.read() as connection:
            return [(row.project, row.entity, row.entity_id, row.version) for row in connection.execute(query)]


_SECRET = ("digest",)  # of a session: whoever has it may pass for the person


def _read(row: dict[str, Any]) -> dict[str, Any]:
    """A row as plain JSON."""
    return {name: _plain(name, value) for name, value in row.items() if name not in _SECRET}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, bytes) or (name in _JSON and value):
        return orjson.loads(value)
    return value


_JSON = ("feedback", "body", "answer", "shown", "said", "problems", "value")


def _versions(project: str) -> Select[Any]:
    told, kept = main_tables.event.c, main_tables.payload.c
    return (
        select(main_tables.event, kept.body)
        .outerjoin_from(
            main_tables.event, main_tables.payload, and_(kept.project == told.project, kept.seq == told.seq)
        )
        .where(told.project == project, told.entity == "annotation")
    )


def _version(row: Any) -> Version:
    body = None if row.body is None else orjson.loads(row.body)
    version = row.version if row.action == "saved" else ""  # the log names there what a deletion ended
    return Version(row.entity_id, version, row.action, row.source, row.seq, row.received_s, body)
