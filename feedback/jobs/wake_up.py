"""The doorbell: wakes a worker as soon as work is wanted; the work rows are the truth, so every ring may be lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from feedback.errors import SettingsError

_LOG = logging.getLogger(__name__)
_NAME = "hitl"  # of the queue; it holds a ring or two, never work
_PATIENCE_S = 0.3  # for a bell that does not answer: a ring stands inside an annotator's submit
_SLICE_S = 0.25  # of one wait: shorter than the patience of a connection, and a worker that must stop hears of it
_SULK_S = 5.0  # after a failure nobody touches the bell for so long, so that one dead host costs one patience


class Doorbell(Protocol):
    """What wakes workers before their next look. Losing rings costs waiting, never work."""

    def ring(self, project: str) -> None:
        """Say that there is work now; never raises, and takes a fraction of a second at worst."""
        ...

    def wait(self, timeout_s: float) -> bool:
        """Wait for a ring, True where one came. Never raises; a bell that is away is a bell that does not ring."""
        ...


class Glance:
    """No bell at all: a waiting worker glances at the work rows; right for one host, where a glance costs 0.1 ms."""

    def __init__(
        self, is_due: Callable[[], bool], *, every_s: float = 0.25, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._is_due, self._every_s, self._sleep = is_due, every_s, sleep

    def ring(self, project: str) -> None:
        """Nothing: the row that was written is what a glance sees."""

    def wait(self, timeout_s: float) -> bool:
        """Look every `every_s`; True as soon as something is due."""
        left_s = timeout_s
        while left_s > 0:
            self._sleep(min(self._every_s, left_s))
            left_s -= self._every_s
            try:
                if self._is_due():
                    return True
            except Exception:  # noqa: BLE001 - the database may be away; the worker's own look says so
                return False
        return False


class Storage(Protocol):
    """What we need of huey's storages (huey.storage), the ones behind its own queues."""

    read_timeout: float

    def enqueue(self, data: bytes) -> None:
        """Put one thing in."""
        ...

    def dequeue(self) -> bytes | None:
        """Take one thing out, waiting `read_timeout` seconds for it."""
        ...

    def queue_size(self) -> int:
        """How many are in."""
        ...

    def close(self) -> object:
        """Give this thread's connections back."""
        ...


class HueyDoorbell:
    """A bell over many hosts, on a queue of huey.

    Rings coalesce: while one stands unheard, others add nothing. Whoever hears it looks at the work rows afterwards, so
    what was wanted before a ring that added nothing is seen as well.
    """

    def __init__(
        self,
        connect: Callable[[], Storage],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connect, self._clock, self._sleep = connect, clock, sleep
        self._mine = threading.local()  # huey's connections belong to the thread that made them
        self._silent_until_s = 0.0

    def ring(self, project: str) -> None:
        """Ring, unless the bell is ringing already."""
        if self._clock() < self._silent_until_s:
            return
        try:
            storage = self._storage()
            if not storage.queue_size():
                storage.enqueue(project.encode())
        except Exception as error:  # noqa: BLE001 - whatever the bell's own client raises, the work row is there
            self._failed("ring", error)

    def wait(self, timeout_s: float) -> bool:
        """Wait for a ring; where the bell is away, wait as long without it."""
        began_s = self._clock()
        if began_s < self._silent_until_s:
            self._sleep(timeout_s)
            return False
        try:
            storage = self._storage()
            while (left_s := timeout_s - (self._clock() - began_s)) > 0:
                storage.read_timeout = min(_SLICE_S, left_s)
                if storage.dequeue() is not None:
                    return True
        except Exception as error:  # noqa: BLE001 - the same
            self._failed("wait for", error)
            self._sleep(max(0.0, timeout_s - (self._clock() - began_s)))
        return False

    def close(self) -> None:
        """Give this thread's connections back."""
        storage: Storage | None = getattr(self._mine, "storage", None)
        self._mine.storage = None
        with suppress(Exception):  # whatever the bell's own client raises: it is being left
            if storage is not None:
                storage.close()

    def _storage(self) -> Storage:
        storage: Storage | None = getattr(self._mine, "storage", None)
        if storage is None:
            storage = self._mine.storage = self._connect()
        return storage

    def _failed(self, verb: str, error: Exception) -> None:
        self.close()
        self._silent_until_s = self._clock() + _SULK_S
        # its type only: a driver's message may show the address with its password
        _LOG.warning("cannot %s the doorbell (%s); workers look at every tick", verb, type(error).__name__)


def make_doorbell(setting: str, *, database_url: str, is_due: Callable[[], bool]) -> Doorbell:
    """Give the bell that HITL_DOORBELL names: "" glances, redis://… rings there, "postgres" in our own database.

    Nothing is connected here: a bell that is away must not keep a service from starting.

    >>> make_doorbell("", database_url="sqlite:///x", is_due=lambda: True).wait(0.01)
    True
    """
    scheme = setting.partition("://")[0].partition("+")[0].lower()
    if not setting:
        return Glance(is_due)
    if scheme in ("redis", "rediss", "unix"):
        return HueyDoorbell(lambda: _redis(setting))
    if scheme in ("postgres", "postgresql"):
        url = setting if "://" in setting else database_url
        if not url.startswith("postgres"):
            raise SettingsError(
                "HITL_DOORBELL is postgres, but the store is SQLite.",
                hint="Set HITL_DATABASE_URL, or give the doorbell a whole postgresql:// address.",
            )
        return HueyDoorbell(lambda: _postgresql(url))
    raise SettingsError(
        f"HITL_DOORBELL names {scheme!r}.", hint="Wanted redis://…, postgres, postgresql://… or nothing."
    )


def _redis(url: str) -> Storage:
    # reason: huey brings its consumer and peers; a worker that glances needs none of it
    from huey.storage import RedisStorage
    from redis import ConnectionPool

    pool: Any = ConnectionPool.from_url(  # type: ignore[no-untyped-call]
        url, socket_connect_timeout=_PATIENCE_S, socket_timeout=_SLICE_S + _PATIENCE_S
    )
    storage: Storage = RedisStorage(_NAME, connection_pool=pool)
    return storage


def _postgresql(url: str) -> Storage:
    from huey.storage import PostgresStorage

    address = "postgresql://" + url.partition("://")[2]  # libpq knows no +driver
    storage: Storage = PostgresStorage(_NAME, dsn=address, table_prefix="hitl_bell", connect_timeout=2)
    return storage
