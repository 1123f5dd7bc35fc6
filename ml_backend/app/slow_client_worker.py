"""A gunicorn worker that disconnects slow clients, so that half a request does not hold a thread.

gunicorn's gthread worker waits for ever for the rest of a request line or header, so a few silent connections would
hold all threads. A body that comes one byte at a time would, too, because its reader blocks until it is complete.
"""

from __future__ import annotations

import errno
import math
import socket
import struct
import time
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

_HEAD_S = 10.0  # for the request line and all headers, with the silence before them
_MIN_RATE = 16 << 10  # bytes per second: a body may take the time of this rate, plus one pause
_MIN_WAIT_S = 1e-3  # for the kernel, 0 means for ever
_SEND_S = 60.0  # for the client to receive each part of a response


class SlowClientSocket(socket.socket):
    """A connection that is reset where the client is too slow.

    The kernel limits the waits of a blocking socket: Python's own timeouts need three more system calls per request.
    """

    _deadline_s = math.inf
    _pause_s: float | None = None
    _per_byte_s = 0.0  # how much each received byte moves the deadline
    _is_reset = False
    _kernel_wait_s: float | None = None  # the read timeout that the kernel has; None: for ever

    def begin(self) -> None:
        """Start the time limit of a request's head."""
        if self._kernel_wait_s is None:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(_SEND_S))
        self._deadline_s, self._pause_s, self._per_byte_s = time.monotonic() + _HEAD_S, _HEAD_S, 0.0

    def settimeout(self, seconds: float | None) -> None:
        """Limit each pause within a body to `seconds`, and the whole body by its rate.

        gunicorn sets None after reading the rest of a body, also before the next head; that changes no deadline.
        """
        if seconds is not None:
            self._deadline_s = time.monotonic() + max(seconds, _HEAD_S)
            self._pause_s, self._per_byte_s = seconds, 1 / _MIN_RATE

    def recv(self, *args: Any) -> bytes:
        """Read what has arrived; raise ConnectionResetError where the client is too slow."""
        if self._is_reset:  # gunicorn would read for two more seconds before it closes, with the thread blocked
            return b""
        left_s, pause_s = self._deadline_s - time.monotonic(), self._pause_s
        if left_s > _MIN_WAIT_S:  # usually at the start, where the kernel has this timeout already
            self._set_kernel_wait(pause_s if pause_s is None or left_s > pause_s - 1.0 else left_s)
        try:  # data that arrived while the request waited for a thread still counts
            block = super().recv(*args) if left_s > _MIN_WAIT_S else super().recv(args[0], socket.MSG_DONTWAIT)
        except BlockingIOError:
            raise self._reset() from None
        self._deadline_s += len(block) * self._per_byte_s
        return block

    def sendall(self, *args: Any) -> None:
        """Send everything; raise ConnectionResetError where the client does not receive it."""
        try:
            super().sendall(*args)
        except BlockingIOError:
            raise self._reset() from None

    def _reset(self) -> ConnectionResetError:
        self._is_reset = True
        return ConnectionResetError(errno.ECONNRESET, "the client is too slow")

    def _set_kernel_wait(self, seconds: float | None) -> None:
        if seconds != self._kernel_wait_s:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds or 0.0))
            self._kernel_wait_s = seconds


class SlowClientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's gthread worker with SlowClientSocket connections."""

    def enqueue_req(self, conn: Any) -> None:
        """Pass a connection to a thread; its time limit includes the wait for one."""
        if type(conn.sock) is socket.socket:
            conn.sock = SlowClientSocket(fileno=conn.sock.detach())
        if isinstance(conn.sock, SlowClientSocket):
            conn.sock.begin()
        super().enqueue_req(conn)


def _timeval(seconds: float) -> bytes:
    """Return the C struct timeval; 0 means for ever."""
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1e6))
