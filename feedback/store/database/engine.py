"""The database behind the store: how it is opened, read and written, on SQLite and on PostgreSQL."""

from __future__ import annotations

import gc
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Select, Table, text
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from feedback.errors import StoreError, ValueRefused
from feedback.store.database.drivers import Durability, make_private, open_engine, parse, writer
from feedback.store.database.prepared_statements import Prepared

WAIT_S = 30.0  # for the write lock; longer than every normal transaction except a rebuild
_CHUNK = 500  # keys in one IN list
_MANY_OBJECTS = 10_000  # new ones after which a collection of the young ones is felt: 5 ms
_AT_ONCE = 1000  # rows in memory; a project may have a million
_PROGRAM_LIMIT = "54"  # class of PostgreSQL's codes: a value is too large for an index, for example
_LOCK_SPACE = 0x48_49_54_4C  # "HITL": the first key of our PostgreSQL advisory locks


class Database:
    """One database. `read` gives a snapshot, `write` one durable transaction; inside a write both join it.

    Made after a fork, never before: connections cannot be shared by processes.
    """

    def __init__(
        self, url: str, *, clock: Callable[[], float], durability: Durability = "full", wait_s: float = WAIT_S
    ) -> None:
        parsed = parse(url)
        self.sqlite = parsed.get_backend_name() == "sqlite"
        self.clock = clock
        self.path = Path(parsed.database or "") if self.sqlite else None
        self.engine = open_engine(parsed, durability=durability, wait_s=wait_s)
        self._writer_connection: Connection | None = None  # the writer of SQLite
        self._wait_s = wait_s
        self._writer_lock = threading.Lock()
        self._local = threading.local()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open one consistent snapshot; inside a write of this thread, what that write sees."""
        if (joined := self._joined) is not None:
            yield joined
            return
        with store_errors(), self.engine.connect() as connection:
            if not self.sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction, durable when the block ends and undone when it raises; a nested one joins the outer."""
        if (joined := self._joined) is not None:
            yield joined
            return
        with self._writer_turn(), store_errors(), self._writer() as connection, connection.begin():
            self._local.connection, self._local.locks = connection, set[str]()
            try:
                yield connection
            finally:
                self._local.connection = None

    @contextmanager
    def write_without_trace(self) -> Iterator[Connection]:
        """Open a transaction as `write` does; what it deletes is overwritten in SQLite's files, too."""
        with self.write() as connection:
            if self.sqlite:
                connection.execute(text("PRAGMA secure_delete=ON"))
            yield connection
        self.leave_no_trace()

    @contextmanager
    def _writer(self) -> Iterator[Connection]:
        """Return a connection to write through; on SQLite, where a process has one writer, always the same one."""
        if not self.sqlite:
            with self.engine.connect() as connection:
                yield connection
            return
        if self._writer_connection is None:
            self._writer_connection = writer(self.engine)
        try:
            yield self._writer_connection
        except BaseException as error:
            self._discard_writer(error)
            raise

    def _discard_writer(self, error: BaseException) -> None:
        """Open the next writer anew, and every connection where the file could not be written: SQLite keeps one that
        it opened read-only so. A writer waits for nothing, so it never goes on as a reader.
        """
        kept, self._writer_connection = self._writer_connection, None
        if kept is not None:
            kept.invalidate()
            kept.close()
        if _sqlite_code(error) in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR):
            self.engine.dispose()

    @property
    def writing(self) -> bool:
        """Return whether this thread is inside a write."""
        return self._joined is not None

    def lock(self, connection: Connection, name: str) -> None:
        """Make writers of one name wait for each other until the transaction ends; SQLite has one writer anyway."""
        if not self.sqlite and name not in self._local.locks:
            self._local.locks.add(name)
            call = text("SELECT pg_advisory_xact_lock(:space, hashtext(:name))")
            connection.execute(call, {"space": _LOCK_SPACE, "name": name})

    @contextmanager
    def pipeline(self, connection: Connection) -> Iterator[None]:
        """Send the statements of a block to PostgreSQL without waiting for each; none may look at a result."""
        if self.sqlite:
            yield
            return
        from psycopg import Error  # reason: the driver is optional

        raw: Any = connection.connection.driver_connection
        try:
            with raw.pipeline():
                yield
        except Error as error:  # of an earlier statement than the one that SQLAlchemy was at
            raise StoreError(f"the database refused: {_first_line(error)}") from error

    def upsert(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, or replace those with the same primary key."""
        _upsert(table, self.sqlite).many(connection, rows)

    def add(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert the rows whose primary key is new."""
        _addition(table, self.sqlite).many(connection, rows)

    def files(self) -> list[Path]:
        """Return the files of a SQLite database with its temporary ones; [] for a database on a server."""
        path = self.path and self.path.resolve()
        return [path.with_name(path.name + ending) for ending in ("", "-wal", "-shm")] if path else []

    def size(self) -> int:
        """Return the bytes that the database takes."""
        if self.sqlite:
            return sum(file.stat().st_size for file in self.files() if file.exists())
        with self.read() as connection:
            return int(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())

    def backup(self, path: Path, *, inbox: Database, may_replace: Callable[[], object]) -> None:
        """Copy a SQLite database while it is in use; the copy is complete and on disk, or does not exist.

        Only its owner may read it. StoreError if it would replace a file of this database or of the database `inbox`;
        before it replaces another file, `may_replace` is called, which raises where it may not.
        """
        if self.path is None:
            raise StoreError(
                "`hitl backup` copies only SQLite.", hint="Use pg_dump for PostgreSQL; docs/operations.md shows how."
            )
        if any(path.resolve() in database.files() for database in (self, inbox)):
            raise StoreError(f"{path} is the store itself, which is in use.", hint="Give another file.")
        if path.exists():
            may_replace()
        part = path.with_name(path.name + ".part")
        part.unlink(missing_ok=True)
        make_private(part)
        with (
            store_errors(),
            closing(sqlite3.connect(self.path)) as source,
            closing(sqlite3.connect(part)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")  # one file, without a -wal
            if (found := target.execute("PRAGMA integrity_check").fetchone()[0]) != "ok":
                raise StoreError(f"the copy failed the integrity check of SQLite: {found}")
        part.replace(path)

    def leave_no_trace(self, *, rewrite: bool = False) -> None:
        """Remove deleted data from SQLite's files: merge the write-ahead log, or rewrite the whole file."""
        if not self.sqlite:
            return
        with self._writer_turn(), store_errors(), self._writer() as connection:
            raw: Any = connection.connection.driver_connection
            raw.execute(f"PRAGMA busy_timeout={int(self._wait_s * 1000)}")
            if rewrite:
                raw.execute("VACUUM")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            raw.execute("PRAGMA busy_timeout=0")
            raw.execute("PRAGMA secure_delete=OFF")

    def close(self) -> None:
        """Close all connections."""
        with self._writer_turn():
            if self._writer_connection is not None:
                self._writer_connection.close()
                self._writer_connection = None
        self.engine.dispose()

    @property
    def _joined(self) -> Connection | None:
        joined: Connection | None = getattr(self._local, "connection", None)
        return joined

    def _writer_turn(self) -> AbstractContextManager[None]:
        """Let the threads of this process wait for each other, so that only processes compete for SQLite's lock."""
        return self._queue() if self.sqlite else nullcontext()

    @contextmanager
    def _queue(self) -> Iterator[None]:
        if not self._writer_lock.acquire(timeout=self._wait_s):
            raise StoreError(f"the database was busy for {self._wait_s:.0f} s in this process.")
        try:
            yield
        finally:
            self._writer_lock.release()


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Switch the garbage collector off while a block builds many long-lived objects: it takes a third of the time.

    What exists at the end of such a block counts as old at once. As young objects, all would be walked three times.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if gc.get_count()[0] > _MANY_OBJECTS and not gc.get_freeze_count():
                gc.freeze()  # moves all objects out of the generations, without a look at any
                gc.unfreeze()  # and all of them to the oldest one
            gc.enable()


def stream(connection: Connection, query: Select[Any]) -> Iterator[Any]:
    """Read rows a thousand at a time; the cursor is closed when the iterator is, read to its end or not."""
    with connection.execute(query.execution_options(yield_per=_AT_ONCE)) as rows:
        for part in rows.partitions():
            yield from part


@cache
def _upsert(table: Table, sqlite: bool) -> Prepared:  # noqa: FBT001  # the key of a cache
    statement = _insert(table, sqlite)
    keys = [column.name for column in table.primary_key]
    changes = {column.name: statement.excluded[column.name] for column in table.columns if column.name not in keys}
    return Prepared(statement.on_conflict_do_update(index_elements=keys, set_=changes))


@cache
def _addition(table: Table, sqlite: bool) -> Prepared:  # noqa: FBT001  # the same
    return Prepared(_insert(table, sqlite).on_conflict_do_nothing())


def _insert(table: Table, sqlite: bool) -> Any:  # noqa: FBT001  # the same
    return sqlite_insert(table) if sqlite else postgresql_insert(table)


def chunks(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut keys into lists that a database takes in one IN."""
    for start in range(0, len(keys), _CHUNK):
        yield keys[start : start + _CHUNK]


def rows_in(connection: Connection, query: Select[Any], column: ColumnElement[Any], keys: Collection[Any]) -> list[Any]:
    """Return the rows whose column is one of the keys, however many they are; sorted only within a chunk of keys."""
    parts = chunks(sorted({plain(key) if isinstance(key, str) else key for key in keys}))
    return [row for part in parts for row in connection.execute(query.where(column.in_(part))).all()]


def dumps(value: Any) -> bytes:
    """Write a row's JSON column, keys sorted; ValueRefused for what JSON cannot hold."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)
    except TypeError as error:
        raise ValueRefused(f"this cannot be kept as JSON: {error}.") from error


def plain(value: str) -> str:
    """Return a text that every database takes: PostgreSQL refuses NUL, UTF-8 refuses lone surrogates.

    >>> plain("a\\x00b")
    'a\\ufffdb'
    """
    if value.isascii() and "\x00" not in value:  # most texts
        return value
    return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn a database's errors into a StoreError of one line, without parameters: those may be private.

    ValueRefused where a value is the cause: out of range, of another type, or in contradiction to another row.
    """
    try:
        yield
    except (DataError, IntegrityError) as error:
        raise ValueRefused(f"the database refused: {_first_line(error.orig)}") from error
    except (sqlite3.DataError, sqlite3.IntegrityError) as error:
        raise ValueRefused(f"the database refused: {_first_line(error)}") from error
    except (OverflowError, UnicodeError) as error:  # of the drivers, before they send it: 2 ** 70, half a character
        raise ValueRefused(f"the database refused a value: {type(error).__name__}.") from error
    except DBAPIError as error:
        is_limit = str(getattr(error.orig, "sqlstate", "")).startswith(_PROGRAM_LIMIT)
        raise (ValueRefused if is_limit else StoreError)(f"the database refused: {_first_line(error.orig)}") from error
    except sqlite3.Error as error:  # of a prepared statement
        raise StoreError(f"the database refused: {_first_line(error)}") from error
    except SQLAlchemyError as error:
        raise StoreError(f"the database failed: {type(error).__name__}.") from error


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"{lines[0][:200].rstrip('.')}."


def lost_connection(error: BaseException) -> bool:
    """Return whether the server went away during a statement, so that a retry may help."""
    cause = error.__cause__
    return isinstance(cause, DBAPIError) and cause.connection_invalidated


def _sqlite_code(error: BaseException) -> int:
    """Return SQLite's primary error code; 0 if the error is not from SQLite."""
    cause: Any = error.__cause__ if isinstance(error, StoreError) else error
    return int(getattr(getattr(cause, "orig", cause), "sqlite_errorcode", 0) or 0) & 0xFF
