"""PostgreSQL's LISTEN and NOTIFY: a committed job request wakes the workers that wait for one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

_LOG = logging.getLogger(__name__)
_CHANNEL = "hitl_jobs"
_CONNECT_TIMEOUT_S = 2
_RETRY_S = 1.0  # after a failure, so that a server that is down is not asked in a busy loop

NOTIFY = text(f"NOTIFY {_CHANNEL}")


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
