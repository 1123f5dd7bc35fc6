"""The server's worker, with an end to its patience: half a request, or an answer that nobody takes, holds no thread.

gunicorn waits for ever for the rest of a request line or header; a few connections that say nothing more would hold
every thread. A body that comes a byte at a time would, too: whoever reads one looks at no clock until it is there.
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
_SLOWEST = 16 << 10  # bytes a second: a body has the time that this pace takes, and a pause
_LEAST_S = 1e-3  # of a wait: to the kernel, none at all is for ever
_SEND_S = 60.0  # for each part of an answer to be taken


class SlowClientSocket(socket.socket):
    """A connection that ends where its peer is too slow.

    The kernel keeps the time of a blocking socket: Python's own timeouts cost a small request three system calls more.
    """

    _until_s = math.inf
    _pause_s: float | None = None
    _per_byte_s = 0.0  # how much later than that, for each byte that comes
    _gave_up = False
    _told_s: float | None = None  # how long the kernel lets a read wait; None: for ever

    def begin(self) -> None:
        """A request is awaited: from here its head has so long."""
        if self._told_s is None:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(_SEND_S))
        self._until_s, self._pause_s, self._per_byte_s = time.monotonic() + _HEAD_S, _HEAD_S, 0.0

    def settimeout(self, seconds: float | None) -> None:
        """From here each pause may be so long, as whoever reads a body decides, and all of them not much longer.

        None is what gunicorn puts back after each look for the rest of a body, before the next head, too: time goes on.
        """
        if seconds is not None:
            self._until_s = time.monotonic() + max(seconds, _HEAD_S)
            self._pause_s, self._per_byte_s = seconds, 1 / _SLOWEST

    def recv(self, *how: Any) -> bytes:
        """Read what is there; a connection that was too slow is one that was reset."""
        if self._gave_up:  # gunicorn would listen two seconds more before it closes, and answer nobody meanwhile
            return b""
        left_s, pause_s = self._until_s - time.monotonic(), self._pause_s
        if left_s > _LEAST_S:  # at the beginning mostly, where the kernel need not be told anew
            self._wait_at_most(pause_s if pause_s is None or left_s > pause_s - 1.0 else left_s)
        try:  # what came while it waited for a thread still counts
            block = super().recv(*how) if left_s > _LEAST_S else super().recv(how[0], socket.MSG_DONTWAIT)
        except BlockingIOError:
            raise self._too_slow() from None
        self._until_s += len(block) * self._per_byte_s
        return block

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


class SlowClientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn tells no types
    """gunicorn's threads, over patient sockets."""

    def enqueue_req(self, conn: Any) -> None:
        """Hand a connection to a thread; its time runs while it waits for one, too."""
        if type(conn.sock) is socket.socket:
            conn.sock = SlowClientSocket(fileno=conn.sock.detach())
        if isinstance(conn.sock, SlowClientSocket):
            conn.sock.begin()
        super().enqueue_req(conn)


def _timeval(seconds: float) -> bytes:
    """The struct of the system's C; 0 is for ever."""
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
