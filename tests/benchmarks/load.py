"""Load generators for anything that speaks Label Studio's ML backend protocol.

One thread, one selector, as many connections as asked. `drive` is a closed loop: each connection sends its next request
when the last one is answered. `offer` is an open one: requests fall due by the clock, and how long one waits for a free
connection is part of its latency. A generator of many threads would spend more on its own lock than a fast server
spends on the answer.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one run saw."""

    seconds: float
    latencies_ms: tuple[float, ...] = field(repr=False)  # of good answers, sorted
    problems: Counter[str] = field(default_factory=Counter)

    @property
    def per_s(self) -> float:
        """Good answers per second."""
        return len(self.latencies_ms) / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Nearest rank."""
        if not self.latencies_ms:
            return float("nan")
        return self.latencies_ms[min(len(self.latencies_ms) - 1, int(percent / 100 * len(self.latencies_ms)))]


def drive(
    address: tuple[str, int],
    requests: Sequence[bytes],
    check: Callable[[int, bytes], str],
    *,
    connections: int = 8,
    seconds: float,
    keep_alive: bool = True,
) -> Load:
    """Send whole HTTP requests in turn for some seconds; `check(status, body)` names a problem or gives ""."""
    poll = selectors.DefaultSelector()
    turns = [_Turn(address, requests, first, connections) for first in range(connections)]
    tally = _Tally()
    deadline = tally.started + seconds
    for turn in turns:
        turn.start(poll)
    waiting = len(turns)
    while waiting:
        ready = poll.select(_WAIT_S)
        if not ready:
            tally.problems["no answer"] += waiting
            break
        for turn, problem in _answered(ready, check):
            now = tally.note(problem, turn.sent_at)
            if problem or not keep_alive or turn.closing:
                turn.stop(poll)
            if now >= deadline:
                turn.stop(poll)
                waiting -= 1
            else:
                turn.start(poll)
    return tally.end(poll, turns)


def offer(
    address: tuple[str, int],
    requests: Sequence[bytes],
    check: Callable[[int, bytes], str],
    *,
    per_s: float,
    connections: int = 32,
) -> Load:
    """Send each request once, `per_s` a second, whatever the server does; a latency counts from when it was due."""
    poll = selectors.DefaultSelector()
    free = [_Turn(address, requests, 0, 0) for _ in range(connections)]
    busy: dict[_Turn, float] = {}
    tally = _Tally()
    started, sent = tally.started, 0
    while sent < len(requests) or busy:
        now = time.perf_counter()
        while free and sent < len(requests) and started + sent / per_s <= now:
            turn = free.pop()
            busy[turn] = started + sent / per_s
            turn.send(poll, requests[sent])
            sent += 1
        due_s = started + sent / per_s - time.perf_counter() if free and sent < len(requests) else _WAIT_S
        ready = poll.select(max(0.0, min(due_s, _WAIT_S)))
        if not ready and due_s >= _WAIT_S:
            tally.problems["no answer"] += len(busy)
            break
        for turn, problem in _answered(ready, check):
            tally.note(problem, busy.pop(turn))
            if problem or turn.closing:
                turn.stop(poll)
            free.append(turn)
    return tally.end(poll, [*free, *busy])


class _Tally:
    """What has been seen of a run that goes on."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.problems: Counter[str] = Counter()
        self.started = time.perf_counter()

    def note(self, problem: str, since: float) -> float:
        """Count one answer; gives the moment."""
        now = time.perf_counter()
        if problem:
            self.problems[problem] += 1
        else:
            self.latencies.append(1000 * (now - since))
        return now

    def end(self, poll: selectors.BaseSelector, turns: Iterable[_Turn]) -> Load:
        """Close all connections, after the clock was read."""
        ended = time.perf_counter()
        for turn in turns:
            turn.stop(poll)
        poll.close()
        return Load(ended - self.started, tuple(sorted(self.latencies)), self.problems)


def _answered(
    ready: Iterable[tuple[selectors.SelectorKey, int]], check: Callable[[int, bytes], str]
) -> Iterator[tuple[_Turn, str]]:
    """The connections whose answer is whole or broken, each with its problem or ""."""
    for key, _ in ready:
        done = key.data.read()
        if done is not None:
            yield key.data, done if isinstance(done, str) else check(*done)


class _Turn:
    """One connection and the request that it waits for."""

    def __init__(self, address: tuple[str, int], requests: Sequence[bytes], first: int, step: int) -> None:
        self._address, self._requests, self._next, self._step = address, requests, first, step
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self.sent_at = 0.0
        self.closing = False

    def start(self, poll: selectors.BaseSelector) -> None:
        """Send the next request, on a new connection where there is none."""
        self.sent_at = time.perf_counter()
        self.send(poll, self._requests[self._next % len(self._requests)])
        self._next += self._step

    def send(self, poll: selectors.BaseSelector, request: bytes) -> None:
        """Send one request, on a new connection where there is none."""
        if self._socket is None:
            self._socket = socket.create_connection(self._address, timeout=_WAIT_S)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poll.register(self._socket, selectors.EVENT_READ, self)
        self._buffer.clear()
        self.closing = False
        self._socket.sendall(request)

    def read(self) -> tuple[int, bytes] | str | None:
        """Status and body once the answer is whole, a problem in words, or None: not yet."""
        if self._socket is None:
            return "no connection"
        try:
            block = self._socket.recv(1 << 18)
        except OSError as error:
            return type(error).__name__
        if not block:
            return "closed early"
        self._buffer += block
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self._buffer[:end]).lower()
        place = head.find(b"content-length:")
        if place < 0:
            return "no length"
        length = int(head[place + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + length:
            return None
        self.closing = b"connection: close" in head
        return int(head[9:12]), bytes(self._buffer[end + 4 : end + 4 + length])

    def stop(self, poll: selectors.BaseSelector) -> None:
        """Close the connection; the next start opens one."""
        if self._socket is not None:
            poll.unregister(self._socket)
            self._socket.close()
            self._socket = None
