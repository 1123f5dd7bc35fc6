"""Who may call: Basic auth for the ML routes, a secret header for webhooks, patience with neither."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import threading
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from flask import Request

from ml_backend.app.trusted_proxies import TrustedProxies
from ml_backend.errors import BackendError, SettingsError

SECRET_HEADER = "X-Hitl-Secret"  # noqa: S105 - the header's name, not a secret
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_ALWAYS = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"))
_ON_PAGES = (("Content-Security-Policy", CSP), ("Referrer-Policy", "no-referrer"), ("X-Frame-Options", "DENY"))
CHALLENGE = 'Basic realm="label-studio-hitl", charset="UTF-8"'


class NotAllowed(BackendError):
    """A request without the right credentials (HTTP 401)."""


class TooManyAttempts(BackendError):
    """Too many wrong credentials from one address (HTTP 429)."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("too many wrong credentials from this address.", hint=f"Try again in {wait_s:.0f} s.")
        self.wait_s = wait_s


class CrossSite(BackendError):
    """A browser sent this request on behalf of a foreign page (HTTP 403)."""


class Attempts(Protocol):
    """Counts failed logins by address; the store has one that all workers share."""

    def wait_s(self, who: str) -> float:
        """Seconds until this address may try again; 0 = now."""
        ...

    def failed(self, who: str) -> None:
        """Note one wrong pair of user and password, or one wrong secret."""
        ...


class MemoryAttempts:
    """Failed logins of this process: `burst` at once, then one every `every_s` seconds.

    >>> attempts = MemoryAttempts(burst=1, every_s=60, clock=lambda: 0.0)
    >>> attempts.wait_s("10.0.0.7"); attempts.failed("10.0.0.7"); attempts.wait_s("10.0.0.7")
    0.0
    60.0
    """

    def __init__(
        self, *, burst: int = 30, every_s: float = 2.0, most: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst, self._every_s, self._most, self._clock = burst, every_s, most, clock
        self._lock = threading.Lock()
        self._full_at: OrderedDict[str, float] = OrderedDict()  # when an address has all its tries back

    def wait_s(self, who: str) -> float:
        """Seconds until this address may try again."""
        full_at = self._full_at.get(who)
        if full_at is None:
            return 0.0
        return max(0.0, full_at - self._clock() - (self._burst - 1) * self._every_s)

    def failed(self, who: str) -> None:
        """Take one try from this address; the oldest addresses are forgotten beyond `most`."""
        with self._lock:
            now = self._clock()
            self._full_at[who] = max(now, self._full_at.pop(who, now)) + self._every_s
            while len(self._full_at) > self._most:
                self._full_at.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Security:
    """What is asked of a caller. Without user and password the ML routes are open; bind to loopback then.

    `secrets()` gives every webhook secret that is valid now, two while one replaces the other; it is asked once in
    `cache_s`, because it may read a database and events come in hundreds a second.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    secrets: Callable[[], Collection[str]] = field(default=tuple, repr=False)
    attempts: Attempts = field(default_factory=MemoryAttempts, repr=False)
    proxies: TrustedProxies = field(default_factory=TrustedProxies)  # whose X-Forwarded-For is believed: nobody's
    cache_s: float = 1.0

    def __post_init__(self) -> None:
        if bool(self.user) != bool(self.password):
            raise SettingsError("user and password go together; only one of them is set.")
        if ":" in self.user:
            raise SettingsError("the user holds a colon, which HTTP Basic cannot carry.")

    @property
    def has_login(self) -> bool:
        """Whether the ML routes ask for user and password."""
        return bool(self.user)


class Guard:
    """Lets a request pass or raises; compares in constant time and remembers only digests."""

    def __init__(self, security: Security, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._security = security
        self._clock = clock
        self._logins = _digests(f"{security.user}:{security.password}")
        self._secrets: tuple[float, list[bytes]] = (float("-inf"), [])  # when asked, digests

    @property
    def has_login(self) -> bool:
        """Whether there is a user and password to ask for."""
        return self._security.has_login

    def ml(self, request: Request) -> None:
        """Pass whoever knows user and password, or anybody where none are set."""
        _refuse_foreign_pages(request)
        if self._security.has_login:
            self._check(request, verdict=self._has_login(request))

    def webhook(self, request: Request) -> None:
        """Pass whoever sends a valid secret or the login, or anybody where neither is set.

        The login too, because Label Studio sends its training button to /webhook with the login of the ML backend.
        """
        _refuse_foreign_pages(request)
        secrets = self._valid_secrets()
        if not secrets and not self._security.has_login:
            return
        given = request.headers.get(SECRET_HEADER)
        verdict = None if given is None else _matches(given.encode("latin-1"), secrets)
        if not verdict and self._security.has_login:
            login = self._has_login(request)
            verdict = verdict if login is None else login
        self._check(request, verdict=verdict)

    def _valid_secrets(self) -> list[bytes]:
        asked_s, digests = self._secrets
        now = self._clock()
        if not 0 <= now - asked_s < self._security.cache_s:
            digests = _all_digests(self._security.secrets())
            self._secrets = now, digests
        return digests

    def _has_login(self, request: Request) -> bool | None:
        """None where the request holds no login at all, so that there is nothing to guess with."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            pair = b64decode(token.strip().encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            return None
        return _matches(pair, self._logins)

    def _check(self, request: Request, *, verdict: bool | None) -> None:
        who = request.remote_addr or ""
        wait_s = self._security.attempts.wait_s(who) if verdict is not None else 0.0
        if wait_s > 0:
            raise TooManyAttempts(wait_s)
        if verdict is False:
            self._security.attempts.failed(who)
        if not verdict:
            raise NotAllowed(
                "wrong or missing credentials.",
                hint=f"Send HTTP Basic auth, or for webhooks the header {SECRET_HEADER}.",
            )


def _refuse_foreign_pages(request: Request) -> None:
    """Stop a page of another site that makes a browser post to us; Label Studio itself sends no such header."""
    site = request.headers.get("Sec-Fetch-Site", "none")
    if site not in ("same-origin", "none") and request.method not in ("GET", "HEAD", "OPTIONS"):
        raise CrossSite(
            "a page of another site sent this.", hint="Label Studio calls from its server, not from a page."
        )


def harden(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Add the headers that keep a browser from doing more with an answer than showing it."""
    names = {name.lower() for name, _ in headers}
    added = [pair for pair in _ALWAYS if pair[0].lower() not in names]
    if any(name.lower() == "content-type" and value.startswith("text/html") for name, value in headers):
        added += [pair for pair in _ON_PAGES if pair[0].lower() not in names]
    return headers + added


def _matches(given: bytes, wanted: Iterable[bytes]) -> bool:
    """Compare with every digest, to the end of each: neither place nor length shows in the time taken."""
    digest = _digest(given)
    found = False
    for one in wanted:
        found |= hmac.compare_digest(digest, one)
    return found


def _all_digests(secrets: Collection[str]) -> list[bytes]:
    """An empty secret is kept as one that nothing matches: it must neither let in nor open the door to all."""
    return [digest for secret in secrets for digest in (_digests(secret) if secret else (b"",))]


def _digests(text: str) -> tuple[bytes, ...]:
    """A text as it may come over the wire: requests, which Label Studio calls with, writes latin-1, others UTF-8."""
    try:
        return _digest(text.encode()), _digest(text.encode("latin-1"))
    except UnicodeEncodeError:
        return (_digest(text.encode()),)


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
