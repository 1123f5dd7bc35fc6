"""Forgetting: what a person said or a task held is erased; the chain and a rebuild still verify."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, select, text

from feedback.errors import StoreError
from feedback.events import Event
from feedback.store import cases, schema
from feedback.store.engine import Database, chunks, stream
from feedback.store.log import Log
from feedback.store.rows import Forgotten


def forget(
    database: Database,
    log: Log,
    project: str,
    *,
    person: int | None = None,
    task: int | None = None,
    annotation: int | None = None,
) -> Forgotten:
    """Erase payloads, salts and derived rows of a person's annotations, or of a task and all that was said of it.

    The log keeps numbers and hashes; without salt and payload they tell nothing. What is still in Label Studio must
    be deleted there: we do not take it back in, but a new annotation of the person is a new one.
    """
    if sum(one is not None for one in (person, task, annotation)) != 1:
        raise StoreError("forget either a person or a task.", hint="`hitl forget --person ID` or `--task ID`.")
    with database.write() as connection:
        _overwrite_what_is_deleted(database, connection)
        annotations = [annotation] if annotation else _annotations(connection, project, person=person, task=task)
        tasks = () if task is None else (task,)
        things = [("annotation", one) for one in annotations] + [("task", one) for one in tasks]
        people = _people(connection, project, annotations)
        log.append([Event(project, entity, one, "", "forgotten", "own") for entity, one in things])  # type: ignore[arg-type]
        events = sum(_erase(connection, project, entity, one) for entity, one in things)
        _erase_rows(connection, project, tasks)
        cases.forget(connection, project, person=person, task=task)
        models = _learned(connection, project, set(annotations))
        _count_again(connection, project, people)
    _leave_no_trace(database)
    return Forgotten(tuple(annotations), tasks, events, models)


def _annotations(connection: Connection, project: str, *, person: int | None, task: int | None) -> list[int]:
    """The annotations that a person ever answered for, in any version, or that were ever made on a task."""
    if task is not None:
        now = schema.annotation.c
        query = select(now.id).where(now.project == project, now.task == task).order_by(now.id)
        return list(connection.execute(query).scalars())
    return sorted({one for one, _version, owner in _owners(connection, project) if owner == person})


def _people(connection: Connection, project: str, annotations: Sequence[int]) -> set[int]:
    """Everybody who answered for one of these annotations, in any version."""
    wanted = set(annotations)
    owners = _owners(connection, project) if wanted else iter(())
    return {owner for one, _version, owner in owners if one in wanted and owner is not None}


def _owners(connection: Connection, project: str) -> Iterator[tuple[int, str, int | None]]:
    """Every stored version of every annotation with the person who answered for it."""
    told, kept = schema.event.c, schema.payload.c
    query = (
        select(told.entity_id, told.version, kept.body)
        .join_from(schema.event, schema.payload, (kept.project == told.project) & (kept.seq == told.seq))
        .where(told.project == project, told.entity == "annotation", told.action == "saved")
    )
    return ((row.entity_id, row.version, orjson.loads(row.body).get("person")) for row in stream(connection, query))


def _count_again(connection: Connection, project: str, people: set[int]) -> None:
    """Derive the rows of some persons anew: when they were first and last at work may have been forgotten."""
    spans: dict[int, tuple[str, str]] = {}
    for _annotation, version, owner in _owners(connection, project) if people else ():
        if owner in people:
            first, last = spans.get(owner, (version, version))
            spans[owner] = (min(first, version), max(last, version))
    table = schema.person
    for person in sorted(people):
        row = (table.c.project == project) & (table.c.id == person)
        if person in spans:
            first, last = spans[person]
            connection.execute(table.update().where(row).values(first_at=first, last_at=last))
        else:
            connection.execute(table.delete().where(row))


def _erase(connection: Connection, project: str, entity: str, number: int) -> int:
    """Remove the payloads and salts of a thing; gives how many there were."""
    told, kept = schema.event.c, schema.payload
    events = select(told.seq).where(told.project == project, told.entity == entity, told.entity_id == number)
    return connection.execute(kept.delete().where(kept.c.project == project, kept.c.seq.in_(events))).rowcount


def _erase_rows(connection: Connection, project: str, tasks: Sequence[int]) -> None:
    for part in chunks(tasks):
        for table in (schema.content, schema.window_row, schema.decision, schema.signal):
            connection.execute(table.delete().where(table.c.project == project, table.c.task.in_(part)))


def _learned(connection: Connection, project: str, annotations: set[int]) -> tuple[str, ...]:
    """The models whose training record names one of these annotations."""
    table = schema.record.c
    query = select(table.key, table.body).where(table.project == project, table.kind == "training")
    found: list[str] = []
    for row in connection.execute(query.order_by(table.id)):
        body: dict[str, Any] = orjson.loads(row.body)
        if annotations & set(body.get("annotations", ())):
            found.append(str(body.get("version") or row.key))
    return tuple(found)


def _overwrite_what_is_deleted(database: Database, connection: Connection) -> None:
    if database.sqlite:
        connection.execute(text("PRAGMA secure_delete=ON"))


def _leave_no_trace(database: Database) -> None:
    """Move the write-ahead log into the file: it still holds pages from before."""
    if database.sqlite:
        with database.engine.connect() as connection:
            raw: Any = connection.connection.dbapi_connection
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            raw.execute("PRAGMA secure_delete=OFF")
