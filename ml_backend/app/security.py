"""Authentication: Basic auth, a secret header for webhooks, a limit for failed attempts, and callers behind proxies."""

from __future__ import annotations

import binascii
import hashlib
import hmac
import threading
import time
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Protocol

from flask import Request

from ml_backend.app.request_source import CrossSite, has_known_host, is_cross_site, is_own_loopback
from ml_backend.errors import BackendError, SettingsError
from ml_backend.host_names import KnownHosts
from ml_backend.labelstudio.parsing import SECRET_HEADER

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_ALWAYS = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"))
_ON_PAGES = (("Content-Security-Policy", CSP), ("Referrer-Policy", "no-referrer"), ("X-Frame-Options", "DENY"))
_MAX_HOPS = 20  # addresses of X-Forwarded-For that are read, from the right
UNCOUNTED = "uncounted"  # a query with which our own commands ask; where it is refused, that is no incident
CHALLENGE = 'Basic realm="label-studio-hitl", charset="UTF-8"'


class NotAllowed(BackendError):
    """A request has wrong or no credentials (HTTP 401)."""


class UnknownSecret(NotAllowed):
    """A webhook carries a secret that is not ours: another store connected its project (HTTP 401)."""


class TooManyAttempts(BackendError):
    """An address sent too many wrong credentials (HTTP 429)."""

    def __init__(self, wait_s: float) -> None:
        super().__init__("too many wrong credentials from this address.", hint=f"Try again in {wait_s:.0f} s.")
        self.wait_s = wait_s


class Attempts(Protocol):
    """Counts failed logins by address; the store has an implementation that all workers share."""

    def wait_s(self, who: str) -> float:
        """Return the seconds until this address may try again; 0 means now."""

    def failed(self, who: str) -> None:
        """Count one failed login, or one wrong secret."""


class MemoryAttempts:
    """Limits failed logins in this process: `burst` at once, then one every `every_s` seconds.

    Flask-Limiter counts requests; here only wrong credentials count, and the store shares the count between workers.
    """

    def __init__(
        self, *, burst: int = 30, every_s: float = 2.0, most: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._burst, self._every_s, self._most, self._clock = burst, every_s, most, clock
        self._lock = threading.Lock()
        self._full_at: OrderedDict[str, float] = OrderedDict()  # when an address has all its attempts again

    def wait_s(self, who: str) -> float:
        """Return the seconds until this address may try again."""
        full_at = self._full_at.get(who)
        if full_at is None:
            return 0.0
        return max(0.0, full_at - self._clock() - (self._burst - 1) * self._every_s)

    def failed(self, who: str) -> None:
        """Count one failed login of this address; beyond `most` addresses, the oldest are forgotten."""
        with self._lock:
            now = self._clock()
            self._full_at[who] = max(now, self._full_at.pop(who, now)) + self._every_s
            while len(self._full_at) > self._most:
                self._full_at.popitem(last=False)


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The networks of our own proxies.

    Each proxy appends the address of its caller to X-Forwarded-For. Read from the right, the first address that is no
    proxy of ours is the caller; everything before it may be forged. werkzeug's ProxyFix counts a fixed number of hops
    instead, so a caller who reaches the app directly could forge its address.

    >>> proxies = TrustedProxies.read("10.0.0.0/8")
    >>> proxies.caller("10.0.0.2", "6.6.6.6, 203.0.113.9, 10.0.0.1")
    '203.0.113.9'
    """

    networks: Sequence[IPv4Network | IPv6Network] = ()

    @classmethod
    def read(cls, text: str) -> TrustedProxies:
        """Parse addresses and networks, separated by commas; SettingsError names what is neither."""
        networks = []
        for part in filter(None, (part.strip() for part in text.split(","))):
            try:
                networks.append(ip_network(part, strict=False))
            except ValueError:
                hint = "Wanted 10.0.0.7 or 10.0.0.0/8."
                raise SettingsError(f"{part!r} is neither an address nor a network.", hint=hint) from None
        return cls(tuple(networks))

    def caller(self, peer: str, forwarded: str) -> str:
        """Return the caller's address, given the connected address and the X-Forwarded-For header."""
        hops = [hop.strip() for hop in forwarded.split(",")][-_MAX_HOPS:] if forwarded else []
        caller = peer
        while hops and self._is_proxy(caller):
            address = _address(hops.pop())
            if address is None:
                break  # an unreadable entry: the proxy itself is the best known caller
            caller = str(address)
        return caller

    def _is_proxy(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self.networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Parse an address, with or without a port; an IPv4-mapped one becomes IPv4; None where it is not an address.

    >>> str(_address("203.0.113.9:4711")), str(_address("[2001:db8::1]:80")), str(_address("::ffff:10.0.0.1"))
    ('203.0.113.9', '2001:db8::1', '10.0.0.1')
    """
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        found = ip_address(bare)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


@dataclass(frozen=True, slots=True)
class Security:
    """The credentials that callers need. Without user and password the ML routes are open: bind to loopback then.

    `secrets()` returns all webhook secrets that are valid now: two while one replaces the other. Its result is cached
    for `cache_s`, because it may read a database, and hundreds of events can arrive per second.
    """

    user: str = ""
    password: str = field(default="", repr=False)
    secrets: Callable[[], Collection[str]] = field(default=tuple, repr=False)
    attempts: Attempts = field(default_factory=MemoryAttempts, repr=False)
    proxies: TrustedProxies = field(default_factory=TrustedProxies)  # none by default
    hosts: KnownHosts = field(default_factory=lambda: KnownHosts(beyond_loopback=True))  # how we are reached
    public: str = ""  # "host:port" of our public address
    cache_s: float = 1.0

    def __post_init__(self) -> None:
        if bool(self.user) != bool(self.password):
            raise SettingsError("user and password are needed together; only one of them is set.")
        if ":" in self.user:
            raise SettingsError("the user contains a colon, which HTTP Basic does not allow.")

    @property
    def has_login(self) -> bool:
        """Return whether the ML routes need user and password."""
        return bool(self.user)


class Guard:
    """Checks credentials and raises where they are wrong; compares in constant time and stores only digests."""

    def __init__(self, security: Security, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._security = security
        self._clock = clock
        self._logins = _digests(f"{security.user}:{security.password}")
        self._secrets: tuple[float, list[bytes]] = (float("-inf"), [])  # when read, digests

    @property
    def has_login(self) -> bool:
        """Return whether user and password are set."""
        return self._security.has_login

    def check_source(self, request: Request) -> None:
        """Refuse a request from a page of another site, and one to a name that is not ours, with CrossSite."""
        environ = request.environ
        if is_cross_site(environ, self._security.hosts, self._security.public):
            hint = "Label Studio calls from its server, not from a page."
            raise CrossSite("a page of another site sent this.", hint=hint)
        if not has_known_host(environ, self._security.hosts):
            raise CrossSite(
                "the Host header is not a name of this service.",
                hint="Set HITL_PUBLIC_URL to the address that is used, or add the name to HITL_ALLOWED_HOSTS.",
            )

    def is_cross_site(self, request: Request, public: str) -> bool:
        """Return whether a browser sends a request for a page of another site; `public` is our "host:port" there."""
        return is_cross_site(request.environ, self._security.hosts, public)

    def has_known_host(self, request: Request) -> bool:
        """Return whether a request was sent to a name of this service."""
        return has_known_host(request.environ, self._security.hosts)

    def check_ml_request(self, request: Request) -> None:
        """Accept a request with user and password, or any request where none are set."""
        if self._security.has_login:
            self._check(request, is_valid=self._has_login(request))

    def may_read_details(self, request: Request) -> bool:
        """Return whether a request has user and password; where none are set, whether it comes from this machine."""
        if not self._security.has_login:
            return is_own_loopback(request.environ)
        try:
            self.check_ml_request(request)
        except (NotAllowed, TooManyAttempts):
            return False
        return True

    def check_webhook_request(self, request: Request) -> None:
        """Accept a request with a valid secret or the login; where neither is set, one from this machine.

        The login as well, because Label Studio's training button calls /webhook with the login of the ML backend.
        """
        secrets, secret = self._valid_secrets(), request.headers.get(SECRET_HEADER)
        if not secrets and not self._security.has_login and secret is None:
            if not is_own_loopback(request.environ):
                hint = "`hitl connect PROJECT` makes one and tells Label Studio."
                raise NotAllowed("there is no secret yet, so only this machine may send this.", hint=hint)
            return
        is_valid = is_secret = None if secret is None else _matches(secret.encode("latin-1"), secrets)
        if not is_valid and self._security.has_login:
            login = self._has_login(request)
            is_valid = is_valid if login is None else login
        try:
            self._check(request, is_valid=is_valid)
        except NotAllowed as error:
            if is_secret is False:
                hint = "Run `hitl connect PROJECT` again with the store of this service."
                raise UnknownSecret("the secret of this webhook is not of this store.", hint=hint) from error
            raise

    def _valid_secrets(self) -> list[bytes]:
        read_s, digests = self._secrets
        now = self._clock()
        if not 0 <= now - read_s < self._security.cache_s:
            secrets = self._security.secrets()
            # an empty secret matches nothing, but still counts as a secret that is set
            digests = [digest for secret in secrets for digest in (_digests(secret) if secret else (b"",))]
            self._secrets = now, digests
        return digests

    def _has_login(self, request: Request) -> bool | None:
        """Return whether the request has the right login; None without a login, which is no attempt to guess one."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            pair = b64decode(token.strip().encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            return None
        return _matches(pair, self._logins)

    def _check(self, request: Request, *, is_valid: bool | None) -> None:
        address = request.remote_addr or ""
        wait_s = self._security.attempts.wait_s(address) if is_valid is not None else 0.0
        if wait_s > 0:
            raise TooManyAttempts(wait_s)
        if is_valid is False:
            self._security.attempts.failed(address)
        if not is_valid:
            raise NotAllowed(
                "wrong or missing credentials.",
                hint=f"Send HTTP Basic auth, or for webhooks the header {SECRET_HEADER}.",
            )


def add_security_headers(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Add the headers that tell browsers not to sniff, cache, frame or run scripts of other sites.

    Flask-Talisman does the same for pages, but would be one more dependency and run in Flask's slower hooks.
    """
    names = {name.lower() for name, _ in headers}
    added = [pair for pair in _ALWAYS if pair[0].lower() not in names]
    if any(name.lower() == "content-type" and value.startswith("text/html") for name, value in headers):
        added += [pair for pair in _ON_PAGES if pair[0].lower() not in names]
    return headers + added


def _matches(value: bytes, wanted: Iterable[bytes]) -> bool:
    """Return whether a digest equals one of the wanted; compares with all, so that the time reveals nothing."""
    digest = _digest(value)
    is_equal = False
    for other in wanted:
        is_equal |= hmac.compare_digest(digest, other)
    return is_equal


def _digests(text: str) -> tuple[bytes, ...]:
    """Return the digests of a text in both encodings of HTTP clients: latin-1 (requests, so Label Studio) and UTF-8."""
    try:
        return _digest(text.encode()), _digest(text.encode("latin-1"))
    except UnicodeEncodeError:
        return (_digest(text.encode()),)


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
