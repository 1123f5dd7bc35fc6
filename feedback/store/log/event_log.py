"""The event log: append-only, idempotent by natural key, chained by hash; projections change in the same commit."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, select

from feedback.errors import StoreError
from feedback.store.database.engine import Database, chunks, dumps, lost_connection
from feedback.store.database.prepared_statements import Prepared
from feedback.store.log.events import EVENT_FIELDS, Event, canonical_json
from feedback.store.log.projections import LoggedEvent, ProjectState, covers, repeats
from feedback.store.log.projector import Projector, State
from feedback.store.tables import main_tables, routing_tables
from feedback.store.tables.main_tables import PROJECTS, ProjectRow
from feedback.store.tables.review_tables import next_case_change, override, review_case
from feedback.store.tables.routing_tables import indicator

GENESIS = "0" * 64  # the hash before the first event of a project
_SALT_BYTES = 16  # with it, a hash in the chain reveals nothing about an erased payload
REUSED_ID = "reused id"  # the kind of record that keeps the task id that a case had

_EVENT, _PAYLOAD = main_tables.event.c, main_tables.payload.c
_LINKED = [column.name for column in main_tables.event.columns if column.name != "hash"]
_KNOWN = Prepared(
    select(_EVENT.entity, _EVENT.entity_id, _EVENT.version, _EVENT.action, _EVENT.seq, _PAYLOAD.body)
    .select_from(main_tables.event_with_payload)
    .where(
        _EVENT.project == bindparam("project"),
        _EVENT.entity.in_(bindparam("entities", expanding=True)),
        _EVENT.entity_id.in_(bindparam("ids", expanding=True)),
    )
)
_INSERT_EVENTS, _INSERT_PAYLOADS = Prepared(main_tables.event.insert()), Prepared(main_tables.payload.insert())

Known = list[tuple[int, Mapping[str, Any] | None]]  # the stored bodies of one natural key, by number; None: erased


@dataclass(frozen=True, slots=True)
class EventBatch:
    """The events that one caller appends together."""

    events: tuple[Event, ...]
    want: str | None  # the kind of work that a change asks for
    received_s: float | None = None  # when it came; None: now


@dataclass(frozen=True, slots=True)
class Appended:
    """The outcome of appending a batch of events."""

    new: int  # versions that were not reported before
    duplicates: int  # versions that were known already
    changed: int = 0  # of the new, those that change what can be learned or asked
    replaced: int = 0  # of the new, those with a reused id whose deletion was not reported


class Log:
    """Appends events. `on_change` is called, inside the commit, for each project in which something changed."""

    def __init__(self, database: Database, *, on_change: Callable[[Connection, str, str], None]) -> None:
        self._database = database
        self._on_change = on_change

    def append(self, events: Iterable[Event], *, want: str | None = None) -> Appended:
        """Store the events that are new; return once they are durable. Order and repetition do not matter."""
        batch = EventBatch(tuple(events), want)
        if not batch.events:
            return Appended(0, 0)
        try:
            return self.fold([batch])[0]
        except StoreError as error:
            if self._database.writing or not lost_connection(error):
                raise
        return self.fold([batch])[0]  # idempotent: if the first try was committed, these are duplicates

    def fold(self, batches: Sequence[EventBatch]) -> Sequence[Appended]:
        """Append several batches at once, in a transaction of their own or in the caller's."""
        now_s = self._database.clock()
        results = [Appended(0, 0) for _ in batches]
        projects = sorted({event.project for batch in batches for event in batch.events})
        with self._database.write() as connection:
            for project in projects:  # sorted, so that two hosts never wait for each other
                appending = _Appending(self._database, connection, project)
                parts = [[event for event in batch.events if event.project == project] for batch in batches]
                appending.read([event for part in parts for event in part])
                taken = [
                    appending.take(part, now_s if batch.received_s is None else batch.received_s)
                    for batch, part in zip(batches, parts, strict=True)
                ]
                appending.write()
                results = [_sum(result, got) for result, got in zip(results, taken, strict=True)]
                wants = {batch.want for batch, got in zip(batches, taken, strict=True) if got.changed}
                if any(got.replaced for got in taken):  # other deletions of that time show only in a full comparison
                    wants.add("sweep")
                for kind in sorted(want for want in wants if want):
                    self._on_change(connection, project, kind)
        return results


class _Appending:
    """One project's part of one commit."""

    def __init__(self, database: Database, connection: Connection, project: str) -> None:
        self._database, self._connection, self._project = database, connection, project
        self._received_s = 0.0  # of the batch that is being taken
        self._projector = Projector(database, connection, project)
        self._known: dict[tuple[str, int, str, str], Known] = {}
        self._events: list[dict[str, Any]] = []
        self._payloads: list[dict[str, Any]] = []
        self._contents: dict[tuple[int, str], dict[str, Any]] = {}
        self._passed: set[int] = set()  # task ids that now belong to another task
        self._seq, self._hash = 0, GENESIS

    def read(self, events: Sequence[Event]) -> None:
        """Take the lock of this project's chain and read the rows that these events concern."""
        self._database.lock(self._connection, f"chain {self._project}")
        self._projector.load(events)
        if self._projector.head is not None:
            self._seq, self._hash = self._projector.head
        else:
            self._database.add(self._connection, main_tables.project, [PROJECTS.to_values(ProjectRow(self._project))])
        self._read_known(events)

    def take(self, events: Sequence[Event], received_s: float) -> Appended:
        """Decide on each event of one batch: new, or known already."""
        self._received_s = received_s
        new = duplicates = changed = replaced = 0
        for given in events:
            state = self._projector.state(given)
            if _repeats_description(given, state):
                duplicates += 1
                continue
            event = self._dated(given, state)
            body = orjson.loads(event.canonical)
            known = self._known.setdefault(event.key, [])
            if _is_known(event, body, state, known, named=bool(given.version)):
                duplicates += 1
                continue
            new += not known
            duplicates += bool(known)  # another body of a version that was reported before
            number = self._chain(event)
            seen = LoggedEvent(
                number, event.entity_id, event.version, event.action, event.seen_s, body, received_s=self._received_s
            )
            known.append((seen.seq, body))
            if isinstance(state, ProjectState):
                changed += self._projector.fold(state, seen)
                continue
            before, was_deleted = state.created_at, state.is_deleted
            changed += self._projector.fold(state, seen)
            if before and state.created_at not in ("", before):
                replaced += not was_deleted
                if event.entity == "task":
                    self._passed.add(event.entity_id)
        return Appended(new, duplicates, changed, replaced)

    def write(self) -> None:
        """Write the log, then its projections."""
        if not self._events:
            return
        self._projector.decode_answers()
        with self._database.pipeline(self._connection):
            _INSERT_EVENTS.many(self._connection, self._events)
            _INSERT_PAYLOADS.many(self._connection, self._payloads)
            self._database.add(self._connection, main_tables.content, list(self._contents.values()))
            head = {"project": self._project, "seq": self._seq, "hash": self._hash}
            self._database.upsert(self._connection, main_tables.chain, [head])
            self._projector.write()
        # reads what it sets aside, so not together
        detach_reused_ids(self._database, self._connection, self._project, self._passed)

    def _dated(self, event: Event, state: State) -> Event:
        """Add to an event what is known only at its arrival, so that a rebuild gives the same result.

        A deletion has no time, and does not say which holder of a reused id it means: it ends the known one, and is
        later than every earlier API read of it. A webhook gives no version of a project: these events are ordered by
        arrival, not by the clock.
        """
        if not isinstance(state, ProjectState):
            if event.action == "saved":
                return event
            deleted_s = max(event.seen_s, self._received_s, state.last_shown_s)
            return replace(event, version=state.ends(event.version, self._received_s), seen_s=deleted_s)
        if event.action != "saved" or event.version:
            return event
        described_at = datetime.fromtimestamp(self._received_s, UTC)
        if state.version:
            described_at = max(described_at, datetime.fromisoformat(state.version) + timedelta(microseconds=1))
        return replace(event, version=described_at.isoformat())

    def _chain(self, event: Event) -> int:
        """Add one link; return its number."""
        self._seq += 1
        salt = os.urandom(_SALT_BYTES)
        row = {name: getattr(event, name) for name in EVENT_FIELDS}
        row |= {"seq": self._seq, "received_s": self._received_s, "payload_hash": payload_hash(salt, event.canonical)}
        self._hash = link(self._hash, row)
        self._events.append({**row, "hash": self._hash})
        self._payloads.append({"project": self._project, "seq": self._seq, "salt": salt, "body": event.canonical})
        if event.content:
            name = hashlib.sha256(event.content).hexdigest()
            row = {"project": self._project, "task": event.entity_id, "hash": name, "data": event.content}
            self._contents[event.entity_id, name] = row
        return self._seq

    def _read_known(self, events: Sequence[Event]) -> None:
        """Read the stored bodies of these natural keys; mostly there are none."""
        entities = {event.entity for event in events}
        for part in chunks(sorted({event.entity_id for event in events})):
            wanted = {"project": self._project, "entities": list(entities), "ids": part}
            for row in _KNOWN.rows(self._connection, wanted):
                key = (row["entity"], row["entity_id"], row["version"], row["action"])
                body = None if row["body"] is None else orjson.loads(row["body"])
                self._known.setdefault(key, []).append((row["seq"], body))


def link(previous: str, row: Mapping[str, Any]) -> str:
    """Hash an event's row together with the hash before it."""
    return hashlib.sha256(canonical_json([previous, *(row[name] for name in _LINKED)])).hexdigest()


def payload_hash(salt: bytes, body: bytes) -> str:
    """Return the salted hash of a body, so that guesses of an erased body cannot be tested against the chain."""
    return hashlib.sha256(salt + body).hexdigest()


def _repeats_description(event: Event, state: State) -> bool:
    """Return whether an event repeats the description of its project, as every webhook does."""
    if not isinstance(state, ProjectState) or event.action != "saved" or not state.seq:
        return False
    return all(event.body.get(name) == getattr(state, name) for name in ("title", "label_config"))


def _is_known(event: Event, body: Mapping[str, Any], state: State, known: Known, *, named: bool) -> bool:
    """Return whether an event is stored already; `named`: a deletion that names the lifetime it ends."""
    if isinstance(state, ProjectState):
        return bool(known)
    news = state.changes_lifetime(event.action, event.version, event.seen_s, body, named=named)
    if news is not None:
        return not news
    if not any(covers(stored, body) for _, stored in known):
        return False
    if event.version != state.version or (body.get("created_at") or "") != state.created_at:
        return not state.is_overruled_by(event.seen_s)  # an API read shows a version that was thought to be replaced
    if event.seen_s <= state.seen_s:
        return True
    # A later API read of the current version: a change back to an older state is new, and so is a missing field.
    return any(seq == state.seq and repeats(stored, body) for seq, stored in known)


def _sum(a: Appended, b: Appended) -> Appended:
    return Appended(a.new + b.new, a.duplicates + b.duplicates, a.changed + b.changed, a.replaced + b.replaced)


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
