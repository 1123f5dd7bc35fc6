"""Fetch the media of tasks from Label Studio and from hosts that the operator allowed, and from no other."""

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
_WHOLE_S = 10.0  # one file, from the lookup of its host to its last byte
_HOPS = 3  # redirects; each follows the same rules
_PAUSE_S = 30.0  # before a silent host is asked again: a predict request may have a thousand tasks
_REDIRECT = (301, 302, 303, 307, 308)
_OK = 200
_PRIVATE = "private:"


class MediaFetcher:
    """Returns the bytes of an address, or raises MediaError with the reason.

    The IP address that was checked is the one that is connected to, so that a host name cannot change in between.
    This needs a network backend of httpcore; httpx and requests resolve the name themselves. Redirects follow the same
    rules.

    `home` is the address of Label Studio: addresses below it, and paths that start with "/", are fetched from there
    with the Authorization header that `authorization` returns. `hosts` are allowed, too: "host" or "host:port" with
    public IP addresses only, "private:host" in a private network. `max_bytes` is the limit of one file.
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
        self._hosts, self._private = _parse_hosts(hosts)
        self._max_bytes = max_bytes
        self._resolve = resolve or _resolve
        self._clock = clock
        self._paused: dict[str, float] = {}  # silent host -> when it may be asked again
        self._lock = threading.Lock()

    def __call__(self, address: str) -> bytes:
        """Return the bytes of one address; follows up to three redirects."""
        deadline_s = self._clock() + _WHOLE_S
        for _ in range(_HOPS + 1):
            url, is_home = self._check_address(address)
            response = self._get(url, is_home=is_home, deadline_s=deadline_s)
            if isinstance(response, bytes):
                return response
            address = urljoin(url.geturl(), response)
        raise MediaError(f"{_shown(address)} was redirected more than {_HOPS} times.")

    def _check_address(self, address: str) -> tuple[SplitResult, bool]:
        """Return the full address, and whether it is Label Studio's; MediaError where it is not allowed."""
        if any(ord(letter) <= 0x20 or letter == "\\" for letter in address):
            raise MediaError(f"{_shown(address)} contains blanks or backslashes, so it is not an address.")
        if address.startswith("/") and not address.startswith("//") and self._home is not None:
            address = urljoin(self._home.geturl(), address)
        try:
            url = urlsplit(address)
            host, port = (url.hostname or "").rstrip("."), url.port
        except ValueError as error:
            raise MediaError(f"{_shown(address)} is not an address.") from error
        if url.scheme not in ("http", "https") or not host or url.username is not None:
            raise MediaError(f"{_shown(address)} is not fetched: only http and https, without user and password.")
        if self._home is not None and _is_below(url, self._home):
            return url, True
        names = {f"{host}:{port}", host} if port in (None, 80, 443) else {f"{host}:{port}"}
        if names & (self._hosts | self._private):
            return url, False
        raise MediaError(
            f"{_shown(address)} is on a host that is not allowed.",
            hint=f"To show media of {host} in tasks, add it to HITL_MEDIA_HOSTS.",
        )

    def _get(self, url: SplitResult, *, is_home: bool, deadline_s: float) -> bytes | str:
        """Return the bytes, or the address of a redirect."""
        host = url.netloc
        if self._clock() < self._paused.get(host, 0.0):
            raise MediaError(f"{host} did not answer; it is asked again after {_PAUSE_S:.0f} s.")
        headers = [(b"accept", b"image/*, */*;q=0.1"), (b"accept-encoding", b"identity")]
        if is_home and self._authorization is not None:
            try:
                headers.append((b"authorization", self._authorization().encode("latin-1")))
            except BackendError as error:
                raise MediaError(str(error), hint=error.hint) from error
        name = (url.hostname or "").rstrip(".")
        is_private = is_home or not self._private.isdisjoint((name, f"{name}:{url.port}"))
        network = _CheckedNetwork(self._resolve, any_address=is_home, private=is_private)
        timeouts = {"connect": _CONNECT_S, "read": _CONNECT_S + 3.0, "write": _CONNECT_S, "pool": _CONNECT_S}
        try:
            with (
                httpcore.ConnectionPool(network_backend=network) as pool,
                pool.stream("GET", url.geturl(), headers=headers, extensions={"timeout": timeouts}) as response,
            ):
                if response.status in _REDIRECT:
                    redirect = {name.lower(): value for name, value in response.headers}
                    return redirect.get(b"location", b"").decode("latin-1")
                if response.status != _OK:
                    raise MediaError(f"{_shown(url.geturl())} was answered with status {response.status}.")
                return self._read(response, deadline_s)
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
            with self._lock:
                self._paused[host] = self._clock() + _PAUSE_S
            raise MediaError(f"{host} cannot be read: {type(error).__name__}.") from error
        except (httpcore.UnsupportedProtocol, UnicodeError, ValueError) as error:
            raise MediaError(f"{_shown(url.geturl())} is not an address that can be fetched.") from error

    def _read(self, response: httpcore.Response, deadline_s: float) -> bytes:
        body = bytearray()
        for block in response.iter_stream():
            body += block
            if len(body) > self._max_bytes:
                raise MediaError(f"the file has more than {self._max_bytes} bytes.")
            if self._clock() > deadline_s:
                raise MediaError(f"the file took longer than {_WHOLE_S:.0f} s.")
        return bytes(body)


class _CheckedNetwork(httpcore.SyncBackend):
    """Connects to an IP address that was checked, not to a host name."""

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
        """Resolve the host, check all addresses, and connect to the first; TLS still checks the host name."""
        addresses = [ip_address(text.partition("%")[0]) for text in self._resolve(host, port)]
        for address in addresses:
            if not (self._any or _is_allowed_ip(address, private=self._private)):
                raise MediaError(f"{host} is at {address}, which is not a public address; nothing was sent.")
        if not addresses:
            raise httpcore.ConnectError(f"{host} has no address")
        return super().connect_tcp(str(addresses[0]), port, timeout, local_address, socket_options)


def _is_allowed_ip(address: IPv4Address | IPv6Address, *, private: bool) -> bool:
    """Whether an IP address is public; `private` also allows private networks and loopback, never link-local ones.

    >>> _is_allowed_ip(ip_address("93.184.216.34"), private=False)
    True
    >>> [_is_allowed_ip(ip_address(text), private=True) for text in ("10.0.0.7", "::ffff:169.254.169.254")]
    [True, False]
    """
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is not None:
            return _is_allowed_ip(inner, private=private)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return address.is_global or (private and (address.is_private or address.is_loopback))


def _parse_hosts(hosts: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the public and the private hosts; SettingsError where a text is no host."""
    public, private = set[str](), set[str]()
    for host in filter(None, (text.strip().lower() for text in hosts)):
        name = host.removeprefix(_PRIVATE)
        if not name or any(letter in name for letter in "/@?#*\\ ") or "://" in name:
            raise SettingsError(
                f"HITL_MEDIA_HOSTS contains {host!r}, which is not a host.",
                hint="Wanted host, host:port or private:host.",
            )
        (private if host.startswith(_PRIVATE) else public).add(name)
    return frozenset(public), frozenset(private)


def _is_below(url: SplitResult, home: SplitResult) -> bool:
    """Whether an address belongs to Label Studio, and not to another service on the same host."""
    path = unquote(url.path)
    return _origin(url) == _origin(home) and path.startswith(home.path) and ".." not in path.split("/")


def _origin(url: SplitResult) -> tuple[str, str, int]:
    return url.scheme, (url.hostname or "").rstrip("."), url.port or (443 if url.scheme == "https" else 80)


def _resolve(host: str, port: int) -> Sequence[str]:
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(f"{host} cannot be resolved") from error
    return [str(entry[4][0]) for entry in entries]


def _shown(address: str) -> str:
    """Return an address for a message, without its query, which may contain a signature."""
    return repr(address.partition("?")[0][:80])
