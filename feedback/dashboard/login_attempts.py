"""Failed logins, counted over all workers; the limit also holds while the database is down."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address, ip_address, ip_network

from feedback.errors import StoreError
from feedback.store.repositories.sessions import SessionsRepository

_CACHE_S = 1.0
_log = logging.getLogger(__name__)


class SharedAttempts:
    """Allow `burst` failed logins per address, then one every `every_s` seconds, over all workers and hosts.

    Every request carries credentials, so the store is asked only once a second. A worker that sees a
    failure learns the true count at once, so at most one extra try per worker is possible in between.
    """

    def __init__(
        self,
        store: SessionsRepository,
        scope: str,
        *,
        burst: int = 30,
        every_s: float = 2.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._scope = store, scope
        self._burst, self._every_s, self._clock = burst, every_s, clock
        self._lock = threading.Lock()
        self._asked_s = float("-inf")
        self._full_s: Mapping[str, float] = {}

    def wait_s(self, who: str) -> float:
        """Return the seconds until this address may try again; 0 is now."""
        now = self._clock()
        if not 0 <= now - self._asked_s < _CACHE_S:
            self._ask(now)
        full_s = self._full_s.get(_network(who))
        if full_s is None:
            return 0.0
        # bounded, because a clock that was set back must not lock anybody out
        return min(max(0.0, full_s - now - (self._burst - 1) * self._every_s), self._burst * self._every_s)

    def failed(self, who: str) -> None:
        """Count one failed login."""
        address = _network(who)
        try:
            full_s = self._store.record_login_attempt(self._scope, address, self._every_s)
        except StoreError as error:
            _log.warning("a failed login is counted in this worker only: %s", error)
            now = self._clock()
            full_s = max(now, self._full_s.get(address, now)) + self._every_s
        with self._lock:
            self._full_s = {**self._full_s, address: full_s}

    def _ask(self, now: float) -> None:
        with self._lock:
            if 0 <= now - self._asked_s < _CACHE_S:
                return
            self._asked_s = now
            try:
                known = self._store.list_login_attempts(self._scope)
            except StoreError as error:
                _log.warning("failed logins of other workers are unknown now: %s", error)
                return
            # failures that could not be stored while the database was down still count in this worker
            own = {address: full_s for address, full_s in self._full_s.items() if full_s > known.get(address, now)}
            self._full_s = {**known, **own}


def _network(who: str) -> str:
    """Return the network that is counted: an owner of one IPv6 address usually has 2^64 of them.

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
