"""Forgetting: what a person said or a task held is erased; the chain and a rebuild still verify."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, select, text

from feedback.errors import StoreError
from feedback.events import Event
from feedback.store import cases, schema
from feedback.store.engine import Database, chunks, stream
from feedback.store.lives import born as born_of
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
    until: str = "",
) -> Forgotten:
    """Erase payloads, salts and derived rows of a person's annotations, or of a task and all that was said of it.

    The log keeps numbers and hashes; without salt and payload they tell nothing. What is still in Label Studio must
    be deleted there: we do not take it back in, but a new annotation of the person is a new one, and so is whatever
    Label Studio gives the number to later. `until` names the last life of a task or annotation that is meant.
    """
    if sum(one is not None for one in (person, task, annotation)) != 1:
        raise StoreError("forget either a person or a task.", hint="`hitl forget --person ID` or `--task ID`.")
    with database.write() as connection:
        _overwrite_what_is_deleted(database, connection)
        found = _found(connection, project, person=person, task=task)
        if annotation is not None:
            found[annotation] = until
        things = [("annotation", number, born) for number, born in sorted(found.items())]
        things += [] if task is None else [("task", task, until)]
        people = _people(connection, project, found)
        log.append([Event(project, entity, one, born, "forgotten", "own") for entity, one, born in things])  # type: ignore[arg-type]
        events = sum(_erase(connection, project, *thing) for thing in things)
        tasks = () if task is None else (task,)
        _erase_rows(connection, project, tasks)
        cases.forget(connection, project, person=person, task=task)
        models = _learned(connection, project, set(found))
        _count_again(connection, project, people)
    _leave_no_trace(database)
    return Forgotten(tuple(sorted(found)), tasks, events, models)


def _found(connection: Connection, project: str, *, person: int | None, task: int | None) -> dict[int, str]:
    """The annotations that a person ever answered for, or that a task ever had: number -> its last such life."""
    found: dict[int, str] = {}
    if person is None and task is None:
        return found
    for said in _said(connection, project):
        if said.person == person if person is not None else said.task == task:
            found[said.annotation] = max(said.born, found.get(said.annotation, ""))
    return found


def _people(connection: Connection, project: str, found: Mapping[int, str]) -> set[int]:
    """Everybody who answered for one of these annotations, in any version."""
    said = _said(connection, project) if found else iter(())
    return {one.person for one in said if one.annotation in found and one.person is not None}


class _Said(NamedTuple):
    """One stored version of an annotation."""

    annotation: int
    version: str
    born: str
    person: int | None
    task: int | None


def _said(connection: Connection, project: str) -> Iterator[_Said]:
    """Every stored version of every annotation; the whole log is read, since both person and task may change."""
    told, kept = schema.event.c, schema.payload.c
    query = (
        select(told.entity_id, told.version, kept.body)
        .join_from(schema.event, schema.payload, (kept.project == told.project) & (kept.seq == told.seq))
        .where(told.project == project, told.entity == "annotation", told.action == "saved")
    )
    for row in stream(connection, query):
        body = orjson.loads(row.body)
        yield _Said(row.entity_id, row.version, born_of(body), body.get("person"), body.get("task"))


def _count_again(connection: Connection, project: str, people: set[int]) -> None:
    """Derive the rows of some persons anew: when they were first and last at work may have been forgotten."""
    spans: dict[int, tuple[str, str]] = {}
    for said in _said(connection, project) if people else ():
        if said.person in people:
            first, last = spans.get(said.person, (said.version, said.version))
            spans[said.person] = (min(first, said.version), max(last, said.version))
    table = schema.person
    for person in sorted(people):
        row = (table.c.project == project) & (table.c.id == person)
        if person in spans:
            first, last = spans[person]
            connection.execute(table.update().where(row).values(first_at=first, last_at=last))
        else:
            connection.execute(table.delete().where(row))


def _erase(connection: Connection, project: str, entity: str, number: int, until: str) -> int:
    """Remove the payloads and salts of a thing, as far as `until`; gives how many there were."""
    told, kept = schema.event.c, schema.payload
    events = (
        select(told.seq, told.action, kept.c.body)
        .join_from(schema.event, kept, (kept.c.project == told.project) & (kept.c.seq == told.seq))
        .where(told.project == project, told.entity == entity, told.entity_id == number)
    )
    rows = connection.execute(events).all()
    seqs = [row.seq for row in rows if not until or row.action != "saved" or born_of(orjson.loads(row.body)) <= until]
    return sum(
        connection.execute(kept.delete().where(kept.c.project == project, kept.c.seq.in_(part))).rowcount
        for part in chunks(seqs)
    )


def _erase_rows(connection: Connection, project: str, tasks: Sequence[int]) -> None:
    for part in chunks(tasks):
        standing = select(schema.task.c.content).where(
            schema.task.c.project == project, schema.task.c.id == schema.content.c.task, ~schema.task.c.gone
        )  # of whatever has the number now, where that is another task
        here = (schema.content.c.project == project, schema.content.c.task.in_(part))
        connection.execute(schema.content.delete().where(*here, schema.content.c.hash.not_in(standing)))
        for table in (schema.window_row, schema.decision, schema.signal):
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
