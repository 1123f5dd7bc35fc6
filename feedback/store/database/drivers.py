"""The two databases: their URLs, how each connection is set up, and PostgreSQL's LISTEN and NOTIFY."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError

from feedback.errors import StoreError

Durability = Literal["full", "normal"]

_LOG = logging.getLogger(__name__)
_POLL_S = 0.0005  # SQLite's own wait sleeps up to 100 ms, which made the slowest webhooks slow
_WANTED = "Wanted sqlite:////path/to/file or postgresql+psycopg://user:password@host/database."
_CHANNEL = "hitl_jobs"
_CONNECT_TIMEOUT_S = 2  # of the connection that listens
_RETRY_S = 1.0  # after a failure, so that a server that is down is not asked in a busy loop
NOTIFY = text(f"NOTIFY {_CHANNEL}")


def parse(url: str) -> URL:
    """Read a database URL; StoreError if it is not supported."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StoreError("the database URL cannot be read.", hint=_WANTED) from error
    if parsed.drivername in ("sqlite", "sqlite+pysqlite"):
        if parsed.database in (None, "", ":memory:"):
            raise StoreError("a database in memory is lost at the end of the process.", hint=_WANTED)
        return parsed
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    raise StoreError(f"the database {parsed.drivername!r} is not supported.", hint=_WANTED)


def describe_store(url: str) -> str:
    """Return where a store is, in words that two commands can compare: a file's absolute path, or a server's address.

    >>> describe_store("sqlite:////data/../data/hitl.sqlite3"), describe_store("postgresql://hitl:pw@db/hitl")
    ('/data/hitl.sqlite3', 'postgresql://hitl:***@db/hitl')
    """
    parsed = parse(url)
    if parsed.get_backend_name() == "sqlite":
        return str(Path(str(parsed.database)).resolve())
    return parsed.set(drivername="postgresql", password=None, query={}).render_as_string(hide_password=True)


def open_engine(url: URL, *, durability: Durability, wait_s: float) -> Engine:
    """Make the connections of a parsed URL; `wait_s` is the longest wait for a lock."""
    open_backend = _sqlite if url.get_backend_name() == "sqlite" else _postgresql
    return open_backend(url, durability, wait_s)


def make_private(path: Path) -> None:
    """Create an empty file that only its owner may read; an existing file is not changed.

    SQLite gives its extra files the permissions of the database file. Where no file can be made, SQLite says why.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _sqlite(url: URL, durability: Durability, wait_s: float) -> Engine:
    make_private(Path(str(url.database)))
    engine = create_engine(
        url, hide_parameters=True, pool_size=8, max_overflow=24, connect_args={"check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def _prepare(raw: sqlite3.Connection, _record: object) -> None:
        raw.isolation_level = None  # we say BEGIN ourselves; the driver's own is too late for DDL and reads
        raw.execute(f"PRAGMA busy_timeout={int(wait_s * 1000)}")
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute(f"PRAGMA synchronous={'FULL' if durability == 'full' else 'NORMAL'}")
        raw.execute("PRAGMA temp_store=MEMORY")
        raw.execute("PRAGMA cache_size=-4000")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        raw: Any = connection.connection.dbapi_connection
        if connection.get_execution_options().get("hitl_write"):
            _begin_writing(raw, wait_s)
        else:
            raw.execute("BEGIN")

    return engine


def writer(engine: Engine) -> Connection:
    """Open the connection through which a process writes to SQLite; it asks for the lock itself, and often."""
    connection = engine.connect().execution_options(hitl_write=True)
    raw: Any = connection.connection.dbapi_connection
    raw.execute("PRAGMA busy_timeout=0")
    return connection


def _begin_writing(raw: sqlite3.Connection, wait_s: float) -> None:
    """Take SQLite's write lock, asking every half millisecond."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_S)
        else:
            return


def _postgresql(url: URL, durability: Durability, wait_s: float) -> Engine:
    options = f"-c timezone=utc -c lock_timeout={int(wait_s * 1000)}" + (
        " -c synchronous_commit=off" if durability == "normal" else ""
    )
    try:
        return create_engine(
            url,
            hide_parameters=True,
            pool_size=8,
            max_overflow=24,
            pool_pre_ping=True,
            connect_args={"options": options, "connect_timeout": max(2, min(10, int(wait_s)))},
        )
    except ImportError as error:
        hint = "Install it: pip install 'label-studio-hitl[postgres]'."
        raise StoreError("the PostgreSQL driver psycopg is not installed.", hint=hint) from error


def notify_workers(connection: Connection) -> None:
    """Wake every listening worker when this transaction commits; PostgreSQL sends it once per transaction."""
    connection.execute(NOTIFY)


class JobListener:
    """One connection that listens for job requests; it reconnects by itself.

    A notification that is lost delays work until the worker's next poll of the job rows, and loses none.
    """

    def __init__(
        self,
        url: URL,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._clock, self._sleep = clock, sleep
        self._connection: Any = None
        self._retry_at_s = 0.0

    def wait(self, timeout_s: float) -> bool:
        """Wait for a job request; return True as soon as there may be one. Never raises.

        It is also True right after a connect, because whatever was announced before it was not heard.
        """
        began_s = self._clock()
        if began_s < self._retry_at_s:
            self._sleep(timeout_s)
            return False
        from psycopg import Error  # reason: the driver is optional

        try:
            if self._connection is None:
                self._connect()
                return True
            return next(self._connection.notifies(timeout=timeout_s, stop_after=1), None) is not None
        except (Error, OSError) as error:
            # the type only: a driver's message may show the address with its password
            _LOG.warning("no notifications from PostgreSQL (%s); jobs are found by polling", type(error).__name__)
            self.close()
            self._retry_at_s = self._clock() + _RETRY_S
            self._sleep(max(0.0, timeout_s - (self._clock() - began_s)))
            return False

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _connect(self) -> None:
        from psycopg import connect  # reason: the driver is optional

        self._connection = connect(self._address, autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S)
        self._connection.execute(f"LISTEN {_CHANNEL}")
