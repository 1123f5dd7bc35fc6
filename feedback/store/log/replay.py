"""Replay of the log: verify that it is complete and unchanged, and rebuild the projections."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import orjson
from sqlalchemy import Connection, Table, func, select

from feedback.errors import ChainBroken, EventError
from feedback.store.database.engine import Database, stream
from feedback.store.log.event_log import GENESIS, link, payload_hash
from feedback.store.log.projections import (
    AnnotationState,
    LoggedEvent,
    PeopleCounts,
    ProjectState,
    TaskState,
    columns,
    compared,
)
from feedback.store.tables import main_tables

TABLES: tuple[Table, ...] = (
    main_tables.annotation,
    main_tables.vote,
    main_tables.project_description,
    main_tables.task,
    main_tables.person,
)

_AT_ONCE = 1000  # rows in memory; a project may have a million

Row = dict[str, Any]
Progress = Callable[[str, int, int], object]  # a project, how many events are done, of how many


@dataclass(frozen=True, slots=True)
class ProjectionCheck:
    """The comparison of the stored projections with those derived from the log."""

    ok: bool
    digest: str  # of the projections as the log gives them
    differs: str = ""  # the first row that does not fit


def _quiet(_project: str, _done: int, _total: int) -> None: ...


def verify(database: Database, project: str | None = None) -> dict[str, Any]:
    """Verify the log and its projections; name the first difference.

    {"events": N, "chain": "ok", "projection": "ok"}; otherwise a sentence replaces "ok".
    """
    events, chain, projection = 0, "ok", "ok"
    with database.read() as connection:
        for name in _everywhere(connection) if project is None else [project]:
            try:
                events += walk(connection, name)
            except ChainBroken as error:
                chain = str(error) if chain == "ok" else chain
                events += _count(connection, name)
                continue
            checked = check(connection, name)
            if not checked.ok and projection == "ok":
                projection = checked.differs
    return {"events": events, "chain": chain, "projection": projection}


def walk(connection: Connection, project: str) -> int:
    """Follow a project's chain from its first event to its head; return its length, raises ChainBroken."""
    events, payloads = main_tables.event, main_tables.payload
    forgotten = _list_erased(connection, project)
    query = (
        select(events, payloads.c.salt, payloads.c.body)
        .select_from(main_tables.event_with_payload)
        .where(events.c.project == project)
        .order_by(events.c.seq)
    )
    seq, previous = 0, GENESIS
    for row in stream(connection, query):
        seq += 1
        where = f"project {project}, event {seq}"
        if row.seq != seq:
            raise ChainBroken(f"{where} is missing.")
        previous = _linked(previous, row._asdict())
        if row.hash != previous:
            raise ChainBroken(f"{where} was altered: its hash does not follow from the one before.")
        if row.body is None:
            if seq > forgotten.get((row.entity, row.entity_id), 0):
                raise ChainBroken(f"{where} lost its payload without a request to erase it.")
        elif _hashed(row.salt, row.body) != row.payload_hash:
            raise ChainBroken(f"{where} has a changed payload: its hash is not the one in the chain.")
    head = connection.execute(select(main_tables.chain).where(main_tables.chain.c.project == project)).one_or_none()
    if (head.seq, head.hash) != (seq, previous) if head else seq:
        raise ChainBroken(f"project {project} ends at event {seq}, its head names {head.seq if head else 'none'}.")
    beyond = select(payloads.c.seq).where(payloads.c.project == project, ~payloads.c.seq.between(1, seq))
    if (stray := connection.execute(beyond.limit(1)).scalar()) is not None:
        raise ChainBroken(f"project {project} ends at event {seq}, and a payload of event {stray} is kept.")
    _walk_contents(connection, project)
    return seq


def check(connection: Connection, project: str, on_progress: Progress = _quiet) -> ProjectionCheck:
    """Compare the stored projections with the log, row by row, bit for bit."""
    hashes = {table.name: hashlib.sha256() for table in TABLES}
    differs = ""
    with ExitStack() as open_cursors:
        stored = {
            table.name: open_cursors.enter_context(closing(_stored(connection, table, project))) for table in TABLES
        }
        for name, row in derive(connection, project, on_progress):
            hashes[name].update(compared(row))
            if not differs and (found := next(stored[name], None)) != row:
                differs = f"project {project}: {_difference(name, found, row)}"
        for name, rest in stored.items():
            if not differs and (extra := next(rest, None)) is not None:
                differs = f"project {project}: {_difference(name, extra, None)}"
    return ProjectionCheck(not differs, _sum(hashes), differs)


def rebuild(database: Database, project: str, on_progress: Progress = _quiet) -> ProjectionCheck:
    """Rebuild the projections and replace the stored ones, in one transaction."""

    def half(before: int) -> Progress:
        return lambda name, done, total: on_progress(name, before * total + done, 2 * total)

    with database.write() as connection:
        database.lock(connection, f"chain {project}")
        for table in TABLES:
            connection.execute(table.delete().where(table.c.project == project))
        waiting: dict[str, list[Row]] = {table.name: [] for table in TABLES}
        tables = {table.name: table for table in TABLES}
        for name, row in derive(connection, project, half(0)):
            waiting[name].append({"project": project, **row})
            if len(waiting[name]) >= _AT_ONCE:
                connection.execute(tables[name].insert(), waiting[name])
                waiting[name] = []
        for name, rows in waiting.items():
            if rows:
                connection.execute(tables[name].insert(), rows)
        return check(connection, project, half(1))


def derive(connection: Connection, project: str, on_progress: Progress = _quiet) -> Iterator[tuple[str, Row]]:
    """Fold the whole log; yield each projected row with the name of its table, in the order of its key."""
    people, total, done = PeopleCounts(), _count(connection, project), 0
    events, payloads = main_tables.event, main_tables.payload
    query = (
        select(events, payloads.c.body)
        .select_from(main_tables.event_with_payload)
        .where(events.c.project == project)
        .order_by(events.c.entity, events.c.entity_id, events.c.seq)
    )
    rows = stream(connection, query)
    for (entity, number), group in groupby(rows, key=lambda row: (row.entity, row.entity_id)):
        seen = [_seen(row) for row in group]
        if done // _AT_ONCE < (done + len(seen)) // _AT_ONCE:
            on_progress(project, done + len(seen), total)
        done += len(seen)
        if entity == "annotation":
            annotation = AnnotationState(number)
            for event in seen:
                annotation.fold(event)
                people.note_time(event)
            annotation.decode_answers()
            people.count_move(None, annotation.counted_work())
            yield "annotation", columns(annotation)
            yield from (("vote", vote) for vote in annotation.votes())
        else:
            state = TaskState(number) if entity == "task" else ProjectState()
            for event in seen:
                state.fold(event)
            yield "task" if entity == "task" else "project_description", columns(state)
    for number in sorted(people.states):
        yield "person", columns(people.states[number])
    on_progress(project, total, total)


def projects(connection: Connection) -> list[str]:
    """Return every project in the log."""
    return list(connection.execute(select(main_tables.chain.c.project).order_by(main_tables.chain.c.project)).scalars())


def _everywhere(connection: Connection) -> list[str]:
    """Return all project ids that occur in any table, including projects whose chain head is missing."""
    tables = (main_tables.chain, main_tables.event, main_tables.payload, main_tables.content, *TABLES)
    return sorted(
        {str(name) for table in tables for name in connection.execute(select(table.c.project).distinct()).scalars()}
    )


def _linked(previous: str, row: Mapping[str, Any]) -> str:
    """Return the hash that a stored row should have; "" where a value has a type that is never written."""
    try:
        return link(previous, row)
    except EventError:  # SQLite keeps bytes in any column
        return ""


def _hashed(salt: object, body: object) -> str:
    """Return the hash of a stored payload; "" where it is not bytes, as after an edit by hand in SQLite."""
    return payload_hash(salt, body) if isinstance(salt, bytes) and isinstance(body, bytes) else ""


def _walk_contents(connection: Connection, project: str) -> None:
    table = main_tables.content
    for row in stream(connection, select(table).where(table.c.project == project)):
        if not isinstance(row.data, bytes) or hashlib.sha256(row.data).hexdigest() != row.hash:
            raise ChainBroken(f"project {project}: the data of task {row.task} are not those that were chained.")
    task = main_tables.task.c
    stored = select(table.c.hash).where(
        table.c.project == project, table.c.task == task.id, table.c.hash == task.content
    )
    named = select(task.id).where(task.project == project, task.content != "", ~stored.exists())
    if (missing := connection.execute(named).scalars().first()) is not None:
        raise ChainBroken(f"project {project}: the data of task {missing} are missing.")


def _stored(connection: Connection, table: Table, project: str) -> Generator[Row, None, None]:
    """Yield the rows of a table in the order of its key, independent of the collation of texts."""
    number = {"vote": "annotation", "project_description": "project"}.get(table.name, "id")
    query = select(table).where(table.c.project == project).order_by(table.c[number])
    rows: Iterable[Row] = (_without_project(row._asdict()) for row in stream(connection, query))
    if table is main_tables.vote:
        for _, group in groupby(rows, key=lambda row: row["annotation"]):
            yield from sorted(group, key=lambda row: str(row["control"]))
    else:
        yield from rows


def _seen(row: Any) -> LoggedEvent:
    body = None if row.body is None else orjson.loads(row.body)
    return LoggedEvent(row.seq, row.entity_id, row.version, row.action, row.seen_s, body, received_s=row.received_s)


def _list_erased(connection: Connection, project: str) -> dict[tuple[str, int], int]:
    """Return the last erasing event of each erased object: no later event may lack its payload."""
    table = main_tables.event.c
    query = select(table.entity, table.entity_id, table.seq).where(table.project == project, table.action == "erased")
    return {(row.entity, row.entity_id): row.seq for row in connection.execute(query.order_by(table.seq))}


def _count(connection: Connection, project: str) -> int:
    query = select(func.count()).select_from(main_tables.event).where(main_tables.event.c.project == project)
    return int(connection.execute(query).scalar_one())


def _difference(table: str, stored: Mapping[str, Any] | None, derived: Mapping[str, Any] | None) -> str:
    """Return a sentence that names the row and the columns, not the values, which may be private."""
    row = stored or derived or {}
    name = f"{table} {row.get('id', row.get('annotation', ''))}".strip()
    if stored is None:
        return f"{name} is missing"
    if derived is None:
        return f"{name} is in no event"
    return f"{name} differs in {', '.join(sorted(key for key in stored if stored[key] != derived.get(key)))}"


def _sum(hashes: Mapping[str, Any]) -> str:
    lines = [f"{name} {hashes[name].hexdigest()}" for name in sorted(hashes)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _without_project(row: Mapping[str, Any]) -> Row:
    return {name: value for name, value in row.items() if name != "project"}
