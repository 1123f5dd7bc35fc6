"""The inbox: stores each webhook delivery durably at once; deliveries are ingested into the log later, in batches.

Label Studio waits for the webhook during an annotator's submit, which therefore costs one inserted row. The worker
reads, chains and projects the events later. On SQLite, where a file has one writer, the inbox is a separate file, so
that a submit never waits for a turn, a rebuild or a backup.

Each delivery is ingested exactly once: its key is stored in the transaction that appends its events (table taken), and
the delivery is removed after that. If the process dies in between, the key shows that the delivery is done.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, case, func, select

from feedback.errors import EventError, StoreError
from feedback.store.database.drivers import parse
from feedback.store.database.engine import Database, chunks
from feedback.store.database.group_commit import GroupCommit
from feedback.store.database.prepared_statements import Prepared
from feedback.store.log.event_log import EventBatch
from feedback.store.log.events import EVENT_FIELDS, Event, canonical_json
from feedback.store.tables import main_tables
from ml_backend.left_out import describe_error, is_of_service

_LOG = logging.getLogger(__name__)
_AT_ONCE = 50  # deliveries in one transaction
_AT_ONCE_BYTES = 16 << 20  # in memory, or one larger delivery: fifty requests of the largest size would not fit
_LONGEST_REASON = 500

_KEYS: Any = bindparam("keys", expanding=True)
_TABLE = main_tables.inbox
_C = _TABLE.c
_FIRST = Prepared(
    select(_C.key, func.length(_C.delivery).label("size")).where(_C.problem.is_(None)).order_by(_C.id).limit(_AT_ONCE)
)
_THESE = Prepared(select(_C.key, _C.received_s, _C.delivery).where(_C.key.in_(_KEYS)).order_by(_C.id))
_INSERT = Prepared(_TABLE.insert())
_DELETE = Prepared(_TABLE.delete().where(_C.key.in_(_KEYS)))
_WHICH_LEFT = Prepared(select(_C.key).where(_C.key.in_(_KEYS)))

_KEY = main_tables.ingested_delivery.c.key
_ALL_TAKEN = Prepared(select(_KEY))
_WHICH_TAKEN = Prepared(select(_KEY).where(_KEY.in_(_KEYS)))
_NOTE_TAKEN = Prepared(main_tables.ingested_delivery.insert())
_FORGET_TAKEN = Prepared(main_tables.ingested_delivery.delete().where(_KEY.in_(_KEYS)))

_ARRIVAL = main_tables.webhook_arrival.c
_AT_S: Any = bindparam("at_s", type_=_ARRIVAL.arrived_s.type)
_ARRIVED = Prepared(  # all of a batch have come by now, known or not
    main_tables.webhook_arrival.update()
    .where(_ARRIVAL.project == bindparam("of_project"))
    .values(
        arrived_s=case((_ARRIVAL.arrived_s > _AT_S, _ARRIVAL.arrived_s), else_=_AT_S),
        polled=case((_ARRIVAL.polled_s > _AT_S, _ARRIVAL.polled), else_=0),  # a retried one may be of yesterday
    )
)

Fold = Callable[[Sequence[EventBatch]], object]


def inbox_url(url: str) -> str:
    """Return the URL of the inbox of a SQLite store; "" where it is in the same database.

    >>> inbox_url("sqlite:////data/hitl.sqlite3")
    'sqlite:////data/hitl-inbox.sqlite3'
    """
    parsed = parse(url)
    if parsed.get_backend_name() != "sqlite":
        return ""
    path = Path(str(parsed.database))
    inbox_path = path.with_name(f"{path.stem}-inbox{path.suffix}")
    return parsed.set(database=str(inbox_path)).render_as_string(hide_password=False)


@dataclass(frozen=True, slots=True)
class InboxStatus:
    """The deliveries that were received and are not ingested yet."""

    deliveries: int
    oldest_s: float | None  # when the first of them came
    problems: tuple[str, ...] = ()  # why others cannot be taken in; they are kept


class Inbox:
    """Stores deliveries in `box`, and passes them to `fold`, which appends them to the log of `main`."""

    def __init__(self, box: Database, main: Database, fold: Fold) -> None:
        self._box, self._main, self._fold = box, main, fold
        self._group: GroupCommit[bytes] = GroupCommit(self._insert, enter=box.write)
        self._taking = threading.Lock()
        self._removed: list[str] = []  # keys that are no longer needed

    def prepare(self) -> None:
        """Create the table if it is missing; a queue needs no migrations."""
        try:
            with self._box.read() as connection:
                _FIRST.rows(connection, {})
        except StoreError:
            self._make()

    def receive(self, events: Iterable[Event], *, want: str | None = None) -> None:
        """Store one delivery; return once it is durable."""
        batch = tuple(events)
        if batch:
            self._group.submit(_written(batch, want))

    def ingest(self) -> int:
        """Ingest all waiting deliveries; return how many.

        One that cannot be ingested stays, with the reason, and does not stop the others.
        """
        with self._taking:
            taken = 0
            while rows := self._first():
                try:
                    taken += self._ingest_rows(rows)
                except Exception as error:  # a hostile delivery may fail in any way
                    if is_of_service(error):
                        raise
                    _LOG.warning("deliveries are taken in one by one: %s", type(error).__name__)
                    taken += sum(map(self._ingest_alone, rows))
            return taken

    def retry_failed(self) -> None:
        """Retry failed deliveries, for example after an upgrade, and remove the keys that killed processes left."""
        with self._box.write() as connection:
            connection.execute(_TABLE.update().where(_C.problem.is_not(None)).values(problem=None))
        with self._main.read() as connection:
            taken = [row["key"] for row in _ALL_TAKEN.rows(connection, {})]
        for part in chunks(taken):
            left = self._left(part)
            with self._main.write() as connection:
                _FORGET_TAKEN.run(connection, {"keys": [key for key in part if key not in left]})

    def get_status(self) -> InboxStatus:
        """Return how many deliveries wait, since when, and why others failed."""
        good = _C.problem.is_(None)
        with self._box.read() as connection:
            count, oldest_s = connection.execute(select(func.count(), func.min(_C.received_s)).where(good)).one()
            problems = connection.execute(select(_C.problem).where(~good).order_by(_C.id)).scalars().all()
        return InboxStatus(count, oldest_s, tuple(problems))

    def check_writable(self) -> None:
        """Take the lock that a webhook needs; StoreError says why that is not possible now."""
        with self._box.write() as connection:
            _DELETE.run(connection, {"keys": []})

    def delete_deliveries(self, project: str, **whom: int | None) -> None:
        """Ingest deliveries about a person or task, so that they are erased with the rest; remove those that fail."""
        self.ingest()
        query = select(_C.key, _C.delivery).where(_C.problem.is_not(None))
        with self._box.write() as connection:
            rows = connection.execute(query).all()
            found = [row.key for row in rows if _may_be_about(row.delivery, project, whom)]
            connection.execute(_TABLE.delete().where(_C.key.in_(found)))
        if self._box is not self._main:
            self._box.leave_no_trace(rewrite=True)

    def _make(self) -> None:
        try:
            with self._box.write() as connection:
                self._box.lock(connection, "inbox")
                _TABLE.create(connection, checkfirst=True)
        except StoreError as error:
            if self._box.path is None:
                raise
            hint = "If the file is damaged, move it away and run `hitl sweep`: it gets the events from Label Studio."
            raise StoreError(f"the inbox {self._box.path}: {error}", hint=hint) from error

    def _insert(self, deliveries: Sequence[bytes]) -> None:
        received_s = self._box.clock()
        rows = [{"key": uuid.uuid4().hex, "received_s": received_s, "delivery": delivery} for delivery in deliveries]
        with self._box.write() as connection:
            _INSERT.many(connection, rows)

    def _first(self) -> list[dict[str, Any]]:
        """Return the next deliveries, at most the limit for memory."""
        with self._box.read() as connection:
            keys: list[str] = []
            size = 0
            for row in _FIRST.rows(connection, {}):
                size += row["size"]
                if keys and size > _AT_ONCE_BYTES:
                    break
                keys.append(row["key"])
            return _THESE.rows(connection, {"keys": keys}) if keys else []

    def _left(self, keys: Sequence[str]) -> set[str]:
        """Return those of the deliveries that are still in the inbox."""
        with self._box.read() as connection:
            return {row["key"] for row in _WHICH_LEFT.rows(connection, {"keys": list(keys)})}

    def _ingest_rows(self, rows: Sequence[dict[str, Any]]) -> int:
        batches = {row["key"]: _read(row) for row in rows}
        with self._main.write() as connection:
            self._main.lock(connection, "take in")
            known = {row["key"] for row in _WHICH_TAKEN.rows(connection, {"keys": list(batches)})}
            left = self._left(list(batches))  # another process may have ingested them, and removed their keys since
            new = [key for key in batches if key in left and key not in known]
            self._fold([batches[key] for key in new])
            _NOTE_TAKEN.many(connection, [{"key": key} for key in new])
            _FORGET_TAKEN.run(connection, {"keys": self._removed})
            self._note_arrivals(connection, list(batches.values()))
        with self._box.write() as connection:
            _DELETE.run(connection, {"keys": list(batches)})
        self._removed = list(batches)
        return len(new)

    def _note_arrivals(self, connection: Connection, batches: Sequence[EventBatch]) -> None:
        """Remember when the last webhook of each project came: what polls find after it was not told by one."""
        arrived = {event.project: batch.received_s or 0.0 for batch in batches for event in batch.events}
        for project, at_s in sorted(arrived.items()):
            if not _ARRIVED.run(connection, {"of_project": project, "at_s": at_s}):
                row = {"project": project, "arrived_s": at_s, "polled_s": 0.0, "polled": 0}
                self._main.add(connection, main_tables.webhook_arrival, [row])

    def _ingest_alone(self, row: dict[str, Any]) -> int:
        """Ingest one delivery, or keep it with the reason for which that is not possible."""
        try:
            return self._ingest_rows([row])
        except Exception as error:
            if is_of_service(error):
                raise
            problem = describe_error(error)
            with self._box.write() as connection:
                connection.execute(
                    _TABLE.update().where(_C.key == row["key"]).values(problem=problem[:_LONGEST_REASON])
                )
            return 0


def _written(events: Sequence[Event], want: str | None) -> bytes:
    event_dicts = [
        {name: getattr(event, name) for name in EVENT_FIELDS}
        | {
            "body": orjson.Fragment(event.canonical),
            "content": orjson.Fragment(event.content) if event.content else None,
        }
        for event in events
    ]
    return orjson.dumps({"want": want, "events": event_dicts})


def _may_be_about(delivery: bytes, project: str, whom: Mapping[str, int | None]) -> bool:
    """Return whether a delivery may be about this person or task; an unreadable one may be about anyone."""
    try:
        return any(
            number is not None
            and event["project"] == project
            and (event["body"].get(name) == number or (event["entity"], event["entity_id"]) == (name, number))
            for event in orjson.loads(delivery)["events"]
            for name, number in whom.items()
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return True


def _read(row: dict[str, Any]) -> EventBatch:
    """Return a delivery as it was received; EventError where the row is not ours."""
    try:
        delivery = orjson.loads(row["delivery"])
        return EventBatch(tuple(_event(event) for event in delivery["events"]), delivery["want"], row["received_s"])
    except (KeyError, TypeError, ValueError) as error:
        raise EventError(f"a delivery cannot be read: {type(error).__name__}.") from error


def _event(fields: Any) -> Event:
    content = fields["content"]
    return Event(**fields | {"content": b"" if content is None else canonical_json(content)})
