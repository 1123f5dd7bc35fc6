"""Failed logins that all workers count together; the limit holds on while the database is away."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Protocol

from feedback.errors import StoreError

_log = logging.getLogger(__name__)


class Book(Protocol):
    """What of the store this needs."""

    def attempts(self, door: str) -> dict[str, float]:
        """Give, for each address that guessed wrong lately, when it has all its tries back."""
        ...

    def note_attempt(self, door: str, address: str, every_s: float) -> float:
        """Take one try from an address; gives when it has all of them back."""
        ...


class SharedAttempts:
    """`burst` wrong guesses at once from one address, then one every `every_s` seconds, over all workers and hosts.

    The right credentials come with every request, so the store is asked once in `cache_s`; a worker that sees a wrong
    guess knows the true count at once, so at most one guess a worker slips through in between.
    """

    def __init__(
        self,
        book: Book,
        door: str,
        *,
        burst: int = 30,
        every_s: float = 2.0,
        cache_s: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._book, self._door = book, door
        self._burst, self._every_s, self._cache_s, self._clock = burst, every_s, cache_s, clock
        self._lock = threading.Lock()
        self._asked_s = float("-inf")
        self._full_s: Mapping[str, float] = {}

    def wait_s(self, who: str) -> float:
        """Seconds until this address may try again; 0 = now."""
        now = self._clock()
        if not 0 <= now - self._asked_s < self._cache_s:
            self._ask(now)
        full_s = self._full_s.get(_network(who))
        if full_s is None:
            return 0.0
        # never longer than an honest count could be: a clock that went back must lock nobody out
        return min(max(0.0, full_s - now - (self._burst - 1) * self._every_s), self._burst * self._every_s)

    def failed(self, who: str) -> None:
        """Note one wrong guess."""
        address = _network(who)
        try:
            full_s = self._book.note_attempt(self._door, address, self._every_s)
        except StoreError as error:
            _log.warning("a wrong guess is counted in this worker only: %s", error)
            now = self._clock()
            full_s = max(now, self._full_s.get(address, now)) + self._every_s
        with self._lock:
            self._full_s = {**self._full_s, address: full_s}

    def _ask(self, now: float) -> None:
        with self._lock:
            if 0 <= now - self._asked_s < self._cache_s:
                return
            self._asked_s = now
            try:
                known = self._book.attempts(self._door)
            except StoreError as error:
                _log.warning("wrong guesses of other workers are not known now: %s", error)
                return
            # what could not be stored while the database was away still counts here
            own = {address: full_s for address, full_s in self._full_s.items() if full_s > known.get(address, now)}
            self._full_s = {**known, **own}


def _network(who: str) -> str:
    """An address as it is counted: of IPv6 whoever has one has 2^64.

    >>> _network("2001:db8::1") == _network("2001:db8::2"), _network("10.0.0.1")
    (True, '10.0.0.1')
    """
    try:
        address = ip_address(who)
    except ValueError:
        return who[:100]
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(ip_network((address, 64), strict=False))
    return str(address)
