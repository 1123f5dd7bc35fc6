"""Fetching what tasks point at: from Label Studio itself and from hosts that the operator named, nowhere else."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

import httpcore

from ml_backend.errors import BackendError, SettingsError
from ml_backend.features.media import MediaError

Resolve = Callable[[str, int], Sequence[str]]  # a host and a port to addresses

_CONNECT_S = 2.0
_WHOLE_S = 10.0  # one file, from the name's resolution to its last byte
_HOPS = 3  # redirects; each stands under the same rules
_SULK_S = 30.0  # a host that did not answer is not asked again so soon: a predict may hold a thousand tasks
_REDIRECT = (301, 302, 303, 307, 308)
_OK = 200
_PRIVATE = "private:"


class MediaFetcher:
    """Gets the bytes behind an address, or raises MediaError with the reason.

    Allowed are addresses below `home` (Label Studio; paths that begin with "/" mean it), fetched with the header that
    `authorization` gives, and hosts of `hosts`, fetched without any. A named host must have public addresses only;
    where it lives in a private network, it is named "private:host". The address that was checked is the one that is
    connected to, so that a name cannot change its mind in between; redirects stand under the same rules.
    """

    def __init__(
        self,
        home: str = "",
        *,
        authorization: Callable[[], str] | None = None,
        hosts: Iterable[str] = (),
        max_bytes: int = 32 << 20,
        resolve: Resolve | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = urlsplit(home.rstrip("/") + "/") if home else None
        self._authorization = authorization
        self._hosts, self._private = _named(hosts)
        self._max_bytes = max_bytes
        self._resolve = resolve or _resolve
        self._clock = clock
        self._silent: dict[str, float] = {}  # host -> when it may be asked again
        self._lock = threading.Lock()

    def __call__(self, address: str) -> bytes:
        """Fetch one address, following a few redirects."""
        deadline_s = self._clock() + _WHOLE_S
        for _ in range(_HOPS + 1):
            url, is_home = self._allowed(address)
            found = self._get(url, is_home=is_home, deadline_s=deadline_s)
            if isinstance(found, bytes):
                return found
            address = urljoin(url.geturl(), found)
        raise MediaError(f"{_shown(address)} was redirected more than {_HOPS} times.")

    def _allowed(self, address: str) -> tuple[SplitResult, bool]:
        """The address in full, and whether it is Label Studio's."""
        if any(ord(letter) <= 0x20 or letter == "\\" for letter in address):
            raise MediaError(f"{_shown(address)} holds blanks or backslashes, so it is no address.")
        if address.startswith("/") and not address.startswith("//") and self._home is not None:
            address = urljoin(self._home.geturl(), address)
        try:
            url = urlsplit(address)
            host, port = (url.hostname or "").rstrip("."), url.port
        except ValueError as error:
            raise MediaError(f"{_shown(address)} is no address.") from error
        if url.scheme not in ("http", "https") or not host or url.username is not None:
            raise MediaError(f"{_shown(address)} is not fetched: only http and https, without user and password.")
        if self._home is not None and _is_below(url, self._home):
            return url, True
        if port is not None and f"{host}:{port}" in self._hosts | self._private:
            return url, False
        if port in (None, 80, 443) and host in self._hosts | self._private:
            return url, False
        raise MediaError(
            f"{_shown(address)} is on a host that nobody allowed.",
            hint=f"Where tasks may show what lies on {host}, add it to HITL_MEDIA_HOSTS.",
        )

    def _get(self, url: SplitResult, *, is_home: bool, deadline_s: float) -> bytes | str:
        """The bytes, or where they are said to be instead."""
        host = url.netloc
        if self._clock() < self._silent.get(host, 0.0):
            raise MediaError(f"{host} did not answer a moment ago; it is asked again in {_SULK_S:.0f} s.")
        headers = [(b"accept", b"image/*, */*;q=0.1"), (b"accept-encoding", b"identity")]
        if is_home and self._authorization is not None:
            headers.append((b"authorization", self._token().encode("latin-1")))
        trusted = is_home or _named_host(url) & self._private
        network = _Checked(self._resolve, any_address=bool(is_home), private=bool(trusted))
        timeouts = {"connect": _CONNECT_S, "read": _CONNECT_S + 3.0, "write": _CONNECT_S, "pool": _CONNECT_S}
        try:
            with (
                httpcore.ConnectionPool(network_backend=network) as pool,
                pool.stream("GET", url.geturl(), headers=headers, extensions={"timeout": timeouts}) as answer,
            ):
                if answer.status in _REDIRECT:
                    given = {name.lower(): value for name, value in answer.headers}
                    return given.get(b"location", b"").decode("latin-1")
                if answer.status != _OK:
                    raise MediaError(f"{_shown(url.geturl())} was answered with status {answer.status}.")
                return self._read(answer, deadline_s)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
            with self._lock:
                self._silent[host] = self._clock() + _SULK_S
            raise MediaError(f"{host} cannot be read: {type(error).__name__}.") from error
        except (httpcore.UnsupportedProtocol, UnicodeError, ValueError) as error:
            raise MediaError(f"{_shown(url.geturl())} is no address that can be asked for.") from error

    def _token(self) -> str:
        try:
            return self._authorization() if self._authorization else ""
        except BackendError as error:
            raise MediaError(str(error), hint=error.hint) from error

    def _read(self, answer: httpcore.Response, deadline_s: float) -> bytes:
        body = bytearray()
        for block in answer.iter_stream():
            body += block
            if len(body) > self._max_bytes:
                raise MediaError(f"the file has more than {self._max_bytes} bytes.")
            if self._clock() > deadline_s:
                raise MediaError(f"the file took longer than {_WHOLE_S:.0f} s.")
        return bytes(body)


class _Checked(httpcore.SyncBackend):
    """Connects to an address that it has looked at, not to a name."""

    def __init__(self, resolve: Resolve, *, any_address: bool, private: bool) -> None:
        super().__init__()
        self._resolve, self._any, self._private = resolve, any_address, private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve, check every address, connect to the first; TLS still asks for the name."""
        found = [ip_address(one.partition("%")[0]) for one in self._resolve(host, port)]
        for address in found:
            if not (self._any or _may_be_asked(address, private=self._private)):
                raise MediaError(f"{host} is at {address}, which is not a public address; nothing was asked of it.")
        if not found:
            raise httpcore.ConnectError(f"{host} has no address")
        return super().connect_tcp(str(found[0]), port, timeout, local_address, socket_options)


def _may_be_asked(address: IPv4Address | IPv6Address, *, private: bool) -> bool:
    """Whether an address is public; `private` allows those of a network of one's own, never link-local ones.

    >>> _may_be_asked(ip_address("93.184.216.34"), private=False)
    True
    >>> [_may_be_asked(ip_address(one), private=True) for one in ("10.0.0.7", "::ffff:169.254.169.254")]
    [True, False]
    """
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is not None:
            return _may_be_asked(inner, private=private)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return address.is_global or (private and (address.is_private or address.is_loopback))


def _named(hosts: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Public and private hosts; SettingsError for what is no host."""
    public, private = set[str](), set[str]()
    for one in (part.strip().lower() for part in hosts):
        name = one.removeprefix(_PRIVATE)
        if not one:
            continue
        if not name or any(letter in name for letter in "/@?#*\\ ") or "://" in name:
            raise SettingsError(
                f"HITL_MEDIA_HOSTS holds {one!r}, which is no host.", hint="Wanted host, host:port or private:host."
            )
        (private if one.startswith(_PRIVATE) else public).add(name)
    return frozenset(public), frozenset(private)


def _named_host(url: SplitResult) -> frozenset[str]:
    host = (url.hostname or "").rstrip(".")
    return frozenset({host, f"{host}:{url.port}"})


def _is_below(url: SplitResult, home: SplitResult) -> bool:
    """Whether an address belongs to Label Studio, and not to a neighbour on the same host."""
    path = unquote(url.path)
    return _origin(url) == _origin(home) and path.startswith(home.path) and ".." not in path.split("/")


def _origin(url: SplitResult) -> tuple[str, str, int]:
    return url.scheme, (url.hostname or "").rstrip("."), url.port or (443 if url.scheme == "https" else 80)


def _resolve(host: str, port: int) -> Sequence[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(f"{host} cannot be resolved") from error
    return [str(one[4][0]) for one in found]


def _shown(address: str) -> str:
    """An address without its query, which may hold a signature."""
    return repr(address.partition("?")[0][:80])
