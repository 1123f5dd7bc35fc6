"""The server's worker, with an end to its patience: half a request, or an answer that nobody takes, holds no thread.

gunicorn waits for ever for the rest of a request line or header; a few connections that say nothing more would hold
every thread.
"""

from __future__ import annotations

import errno
import math
import socket
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

_HEAD_S = 10.0  # for a whole request line and its headers, silence before them included
_SEND_S = 60.0  # for each part of an answer to be taken


class PatientSocket(socket.socket):
    """A connection that ends where its peer is too slow."""

    _until_s = math.inf
    _pause_s: float | None = None

    def begin(self) -> None:
        """A request is awaited: from here its head has so long."""
        self._until_s = time.monotonic() + _HEAD_S

    def settimeout(self, seconds: float | None) -> None:
        """From here each pause may be so long, as whoever reads a body decides; the head has been read."""
        self._until_s, self._pause_s = math.inf, seconds
        super().settimeout(seconds)

    def recv(self, *how: Any) -> bytes:
        """Read what is there; a connection that was too slow is one that was reset."""
        left_s = max(0.0, self._until_s - time.monotonic())  # 0: what came while it waited for a thread still counts
        super().settimeout(left_s if left_s < math.inf else self._pause_s)
        try:
            return super().recv(*how)
        except (TimeoutError, BlockingIOError):
            raise _too_slow() from None

    def sendall(self, *what: Any) -> None:
        """Send everything, while it is taken."""
        super().settimeout(_SEND_S)
        try:
            super().sendall(*what)
        except TimeoutError:
            raise _too_slow() from None


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn tells no types
    """gunicorn's threads, over patient sockets."""

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to a thread; its time runs while it waits for one, too."""
        if type(conn.sock) is socket.socket:
            conn.sock = PatientSocket(fileno=conn.sock.detach())
        if isinstance(conn.sock, PatientSocket):
            conn.sock.begin()
        super().enqueue_req(conn)


def _too_slow() -> ConnectionResetError:
    return ConnectionResetError(errno.ECONNRESET, "the sender is too slow")
