"""The server's worker, with an end to its patience: half a request, or an answer that nobody takes, holds no thread.

gunicorn waits for ever for the rest of a request line or header; a few connections that say nothing more would hold
every thread.
"""

from __future__ import annotations

import errno
import math
import socket
import struct
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

_HEAD_S = 10.0  # for a whole request line and its headers, silence before them included
_SEND_S = 60.0  # for each part of an answer to be taken


class PatientSocket(socket.socket):
    """A connection that ends where its peer is too slow.

    The kernel keeps the time of a blocking socket: Python's own timeouts cost a small request three system calls more.
    """

    _until_s = math.inf
    _pause_s: float | None = None
    _gave_up = False
    _told_s: float | None = None  # how long the kernel lets a read wait; None: for ever

    def begin(self) -> None:
        """A request is awaited: from here its head has so long."""
        if self._told_s is None:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(_SEND_S))
        self._until_s = time.monotonic() + _HEAD_S

    def settimeout(self, seconds: float | None) -> None:
        """From here each pause may be so long, as whoever reads a body decides; the head has been read."""
        self._until_s, self._pause_s = math.inf, seconds

    def recv(self, *how: Any) -> bytes:
        """Read what is there; a connection that was too slow is one that was reset."""
        if self._gave_up:  # gunicorn would listen two seconds more before it closes, and answer nobody meanwhile
            return b""
        left_s = self._until_s - time.monotonic()
        if left_s == math.inf:
            self._wait_at_most(self._pause_s)
        elif left_s > 0:  # at the beginning mostly, where the kernel need not be told anew
            self._wait_at_most(_HEAD_S if left_s > _HEAD_S - 1.0 else left_s)
        try:  # what came while it waited for a thread still counts
            return super().recv(*how) if left_s > 0 else super().recv(how[0], socket.MSG_DONTWAIT)
        except BlockingIOError:
            raise self._too_slow() from None

    def sendall(self, *what: Any) -> None:
        """Send everything, while it is taken."""
        try:
            super().sendall(*what)
        except BlockingIOError:
            raise self._too_slow() from None

    def _too_slow(self) -> ConnectionResetError:
        self._gave_up = True
        return ConnectionResetError(errno.ECONNRESET, "the peer is too slow")

    def _wait_at_most(self, seconds: float | None) -> None:
        if seconds != self._told_s:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds or 0.0))
            self._told_s = seconds


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn tells no types
    """gunicorn's threads, over patient sockets."""

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to a thread; its time runs while it waits for one, too."""
        if type(conn.sock) is socket.socket:
            conn.sock = PatientSocket(fileno=conn.sock.detach())
        if isinstance(conn.sock, PatientSocket):
            conn.sock.begin()
        super().enqueue_req(conn)


def _timeval(seconds: float) -> bytes:
    """The struct of the system's C; 0 is for ever."""
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
