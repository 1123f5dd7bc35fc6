"""The inbox: what webhooks bring is durable here at once, and is taken into the log soon after, many at a time.

Label Studio waits for a webhook inside an annotator's submit. One row is all that this costs it; reading what an event
meets, chaining it and projecting it is done by whoever works, outside of anybody's submit. On SQLite, where a file has
one writer, the inbox is a file of its own, so that no turn, rebuild or backup ever keeps a submit waiting.

Each delivery is taken in exactly once: its key is noted in the transaction that appends its events (table taken), and
only then it is removed from here; who dies in between leaves a delivery whose key is known.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import bindparam, func, select

from feedback.errors import EventError, StoreError
from feedback.store.database.drivers import parse
from feedback.store.database.engine import Database, chunks
from feedback.store.database.group_commit import GroupCommit
from feedback.store.database.prepared_statements import Prepared
from feedback.store.log.events import Event, canonical_json
from feedback.store.rows import EventBatch, InboxStatus
from feedback.store.tables import main_tables

_LOG = logging.getLogger(__name__)
_AT_ONCE = 50  # deliveries in one transaction
_AT_ONCE_BYTES = 16 << 20  # of them in memory, or one that is larger: a limit of one request is none of fifty
_LONGEST_REASON = 500

_TABLE = main_tables.inbox
_C = _TABLE.c
_FIRST = Prepared(
    select(_C.key, func.length(_C.delivery).label("size")).where(_C.problem.is_(None)).order_by(_C.id).limit(_AT_ONCE)
)
_THESE = Prepared(
    select(_C.key, _C.received_s, _C.delivery).where(_C.key.in_(bindparam("keys", expanding=True))).order_by(_C.id)
)
_INSERT = Prepared(_TABLE.insert())
_DELETE = Prepared(_TABLE.delete().where(_C.key.in_(bindparam("keys", expanding=True))))
_WHICH_LEFT = Prepared(select(_C.key).where(_C.key.in_(bindparam("keys", expanding=True))))

_KEY = main_tables.ingested_delivery.c.key
_ALL_TAKEN = Prepared(select(_KEY))
_WHICH_TAKEN = Prepared(select(_KEY).where(_KEY.in_(bindparam("keys", expanding=True))))
_NOTE_TAKEN = Prepared(main_tables.ingested_delivery.insert())
_FORGET_TAKEN = Prepared(main_tables.ingested_delivery.delete().where(_KEY.in_(bindparam("keys", expanding=True))))

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


class Inbox:
    """Receives deliveries into `box`, and gives them to `fold`, which appends them to the log of `main`."""

    def __init__(self, box: Database, main: Database, fold: Fold) -> None:
        self._box, self._main, self._fold = box, main, fold
        self._group: GroupCommit[bytes, int] = GroupCommit(self._insert, enter=box.write)
        self._taking = threading.Lock()
        self._removed: list[str] = []  # keys that nobody asks for any more

    def prepare(self) -> None:
        """Make the table where it is missing; a queue has no past that would need migrations."""
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

        One that cannot be taken in stays, with the reason, and is no hindrance to the others.
        """
        with self._taking:
            taken = 0
            while rows := self._first():
                try:
                    taken += self._ingest_rows(rows)
                except Exception as error:  # noqa: BLE001  # a hostile delivery may fail in any way
                    taken += self._ingest_one_by_one(rows, error)
            return taken

    def retry_failed(self) -> None:
        """Let what could not be taken in be tried once more, as after an upgrade; and tidy after those who died."""
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
        """Take in what has been said, so that it is forgotten with the rest; what cannot be taken in is removed."""
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

    def _insert(self, deliveries: Sequence[bytes]) -> Sequence[int]:
        received_s = self._box.clock()
        rows = [{"key": uuid.uuid4().hex, "received_s": received_s, "delivery": delivery} for delivery in deliveries]
        with self._box.write() as connection:
            _INSERT.many(connection, rows)
        return [1] * len(deliveries)

    def _first(self) -> list[dict[str, Any]]:
        """The next deliveries, as many as memory holds."""
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
            left = self._left(list(batches))  # somebody else may have taken them in, and forgotten their keys since
            new = [key for key in batches if key in left and key not in known]
            self._fold([batches[key] for key in new])
            _NOTE_TAKEN.many(connection, [{"key": key} for key in new])
            _FORGET_TAKEN.run(connection, {"keys": self._removed})
        with self._box.write() as connection:
            _DELETE.run(connection, {"keys": list(batches)})
        self._removed = list(batches)
        return len(new)

    def _ingest_one_by_one(self, rows: Sequence[dict[str, Any]], error: Exception) -> int:
        """Find which of them cannot be taken in; where the database is at fault, none of them is."""
        if _is_the_databases(error):
            raise error
        _LOG.warning("deliveries are taken in one by one: %s", type(error).__name__)
        taken = 0
        for row in rows:
            try:
                taken += self._ingest_rows([row])
            except Exception as reason:
                if _is_the_databases(reason):
                    raise
                self._record_problem(row["key"], reason)
        return taken

    def _record_problem(self, key: str, reason: Exception) -> None:
        problem = str(reason) if isinstance(reason, EventError | StoreError) else type(reason).__name__
        with self._box.write() as connection:
            connection.execute(_TABLE.update().where(_C.key == key).values(problem=problem[:_LONGEST_REASON]))


def _is_the_databases(error: Exception) -> bool:
    """Return whether the database was away, full or busy, which is nothing that a delivery can be blamed for."""
    if not isinstance(error, StoreError):
        return False
    cause = error.__cause__
    names = {kind.__name__ for kind in type(cause).__mro__}
    return cause is None or not names.isdisjoint(("OperationalError", "InterfaceError"))  # of either driver


def _written(events: Sequence[Event], want: str | None) -> bytes:
    event_dicts = [
        {
            "project": event.project,
            "entity": event.entity,
            "entity_id": event.entity_id,
            "version": event.version,
            "action": event.action,
            "source": event.source,
            "seen_s": event.seen_s,
            "body": orjson.Fragment(event.canonical),
            "content": orjson.Fragment(event.content) if event.content else None,
        }
        for event in events
    ]
    return orjson.dumps({"want": want, "events": event_dicts})


def _may_be_about(delivery: bytes, project: str, whom: Mapping[str, int | None]) -> bool:
    """Return whether somebody or a task is named in a delivery; one that nobody can read may name anybody."""
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
    """One delivery as it was received; StoreError where the row is not ours."""
    try:
        delivery = orjson.loads(row["delivery"])
        return EventBatch(tuple(_event(event) for event in delivery["events"]), delivery["want"], row["received_s"])
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"a delivery cannot be read: {type(error).__name__}.") from error


def _event(fields: Any) -> Event:
    content = fields["content"]
    return Event(**fields | {"content": b"" if content is None else canonical_json(content)})
