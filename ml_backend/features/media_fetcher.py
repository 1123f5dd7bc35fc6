"""Fetch the files of tasks within limits: from Label Studio and from allowed hosts, from no other."""

from __future__ import annotations

import math
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

import httpcore

from ml_backend.connections import describe_failure, environment_proxy, tls_context
from ml_backend.errors import BackendError, SettingsError
from ml_backend.features.image_decoding import MediaError
from ml_backend.features.media import is_bucket_address, shown_address
from ml_backend.host_names import read_media_hosts

Resolve = Callable[[str, int], Sequence[str]]  # a host and a port to addresses

_CONNECT_S = 2.0
_WHOLE_S = 10.0  # one file with its redirects, from the lookup of its host to its last byte
_HEAD_BYTES = 256 << 10  # of one file: headers, and early answers such as 103, of which there may be any number
_HOPS = 3  # redirects; each follows the same rules
_PAUSE_S = 30.0  # before a silent or slow host is asked again, doubled each time: a request may have a thousand tasks
_LONGEST_PAUSE_S = 600.0
_QUICK_S = 2.0  # a file takes no longer; what takes longer is counted
_PATIENCE_S = 20.0  # of a host, over its slow files
# of Label Studio: uploaded files, local files, and the addresses that proxy a storage or redirect to a presigned one
_MEDIA_PATH = re.compile(r"data/upload/.|data/local-files/|(tasks|projects)/[0-9]+/(resolve|presign)/$")
_SCHEME_HINT = "Import data URIs, files uploaded to Label Studio, or http(s) addresses of hosts in HITL_MEDIA_HOSTS."
_BUCKET_HINT = f"Only Label Studio has the keys of the bucket. {_SCHEME_HINT} Presigned addresses are such."
_REDIRECT = (301, 302, 303, 307, 308)
_OK = 200
_BROKEN = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, httpcore.ProxyError)
_ADDRESS_SIGNS = "%/:=&?~#+!$,;'@()*[]"  # they have a meaning in an address, or are encoded already


class MediaFetcher:
    """Returns the bytes of an address, or raises MediaError with the reason.

    The IP address that was checked is the one that is connected to, so that a host name cannot change in between.
    This needs a network backend of httpcore; httpx and requests resolve the name themselves. Redirects follow the same
    rules.

    `home` is the address of Label Studio: addresses below it, and paths that start with "/", are fetched from there.
    The Authorization header that `authorization` returns goes to the paths of media files only, and never after a
    redirect. `hosts` are allowed, too: "host" or "host:port" with public IP addresses only, "private:host" in a private
    network.

    One file has at most `max_bytes`, and one deadline over its lookup, headers, redirects and body. A host that is
    silent, or slow for many files, is not asked for a while.
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
        self._hosts, self._private = read_media_hosts(hosts)
        self._max_bytes = max_bytes
        self._resolve = resolve or _resolve
        self._clock = clock
        self._speeds: dict[str, _HostSpeed] = {}  # by host and port
        self._lock = threading.Lock()

    def __call__(self, address: str) -> bytes:
        """Return the bytes of one address; follows up to three redirects."""
        budget = _FileBudget(self._clock, self._clock() + _WHOLE_S, self._max_bytes)
        for hop in range(_HOPS + 1):
            url, is_home = self._check_address(address)
            takes_token = is_home and not hop and self._home is not None and _is_media(url, self._home)
            response = self._get(url, budget, is_home=is_home, takes_token=takes_token)
            if isinstance(response, bytes):
                return response
            address = urljoin(url.geturl(), response)
        raise MediaError(f"{shown_address(address)} was redirected more than {_HOPS} times.")

    def check(self, address: str) -> None:
        """Raise MediaError for an address that is never fetched; opens nothing. Data URIs need no fetching."""
        if address[:5].lower() != "data:":
            self._check_address(address)

    def _check_address(self, address: str) -> tuple[SplitResult, bool]:
        """Return the full address, and whether it is Label Studio's; MediaError where it is not allowed."""
        if any(ord(letter) <= 0x20 or letter == "\\" for letter in address):
            raise MediaError(f"{shown_address(address)} contains blanks or backslashes, so it is not an address.")
        if address.startswith("/") and not address.startswith("//") and self._home is not None:
            address = urljoin(self._home.geturl(), address)
        try:
            url = urlsplit(address)
            host, port = (url.hostname or "").rstrip("."), url.port
        except ValueError as error:
            raise MediaError(f"{shown_address(address)} is not an address.") from error
        if url.scheme not in ("http", "https") or not host or url.username is not None:
            raise MediaError(
                f"{shown_address(address)} is not fetched: only http and https, without user and password.",
                hint=_BUCKET_HINT if is_bucket_address(address) else _SCHEME_HINT,
            )
        if self._home is not None and _is_below(url, self._home):
            return url, True
        names = {f"{host}:{port}", host} if port in (None, 80, 443) else {f"{host}:{port}"}
        if names & (self._hosts | self._private):
            return url, False
        hint = f"To show media of {host} in tasks, add it to HITL_MEDIA_HOSTS."
        if self._home is not None and host == self._home.hostname:
            hint = f"If it is Label Studio, write its address in LABEL_STUDIO_URL as it is here. {hint}"
        raise MediaError(f"{shown_address(address)} is on a host that is not allowed.", hint=hint)

    def _get(self, url: SplitResult, budget: _FileBudget, *, is_home: bool, takes_token: bool) -> bytes | str:
        """Return the bytes, or the address of a redirect."""
        _scheme, name, port = _origin(url)
        host = f"{name}:{port}"  # however it is written: localhost.:080 is no other host
        with self._lock:
            speed = self._speeds.setdefault(host, _HostSpeed())
        began_s = self._clock()
        if began_s < speed.paused_until_s:
            raise MediaError(f"{host} {speed.why}; it is asked again after {speed.pause_s:.0f} s.")
        headers = [(b"accept", b"image/*, */*;q=0.1"), (b"accept-encoding", b"identity")]
        if takes_token and self._authorization is not None:
            try:
                headers.append((b"authorization", self._authorization().encode("latin-1")))
            except BackendError as error:
                raise MediaError(str(error), hint=error.hint) from error
        is_private = is_home or not self._private.isdisjoint((name, f"{name}:{url.port}"))
        network = _CheckedNetwork(self._resolve, budget, any_address=is_home, private=is_private)
        timeouts = {"connect": _CONNECT_S, "read": _CONNECT_S + 3.0, "write": _CONNECT_S, "pool": _CONNECT_S}
        try:
            with (
                _connection_pool(self._home.geturl() if is_home and self._home else "", network) as pool,
                pool.stream("GET", _in_ascii(url), headers=headers, extensions={"timeout": timeouts}) as response,
            ):
                budget.head_is_read = True
                found = self._take(response, url)
        except _HostFault:
            with self._lock:
                speed.pause(self._clock())
            raise
        except (SettingsError, OSError, *_BROKEN) as error:
            setting = "LABEL_STUDIO_URL" if is_home else "the task's data"
            failure = describe_failure(error, url.geturl(), setting=setting, proxied=is_home)
            why = f"cannot be read: {failure.what}"
            with self._lock:
                speed.pause(self._clock(), why)
            raise MediaError(f"{host} {why}. {failure.fix}") from error  # the hints of rows are not kept
        except MediaError:
            self._note_time(speed, began_s)
            raise
        except Exception as error:  # an address may make a library raise anything
            what = f"{shown_address(url.geturl())} cannot be fetched: {type(error).__name__}."
            raise MediaError(what, hint="Look at the address for signs that no address has.") from error
        self._note_time(speed, began_s)
        return found

    def _note_time(self, speed: _HostSpeed, began_s: float) -> None:
        """Count an answer of any kind: a missing file or a redirect takes as much time as a file."""
        with self._lock:
            speed.note(self._clock() - began_s, self._clock())

    def _take(self, response: httpcore.Response, url: SplitResult) -> bytes | str:
        if response.status in _REDIRECT:
            redirect = {name.lower(): value for name, value in response.headers}
            return redirect.get(b"location", b"").decode("latin-1")
        if response.status != _OK:
            raise MediaError(f"{shown_address(url.geturl())} was answered with status {response.status}.")
        return self._read(response)

    def _read(self, response: httpcore.Response) -> bytes:
        body = bytearray()
        for block in response.iter_stream():
            body += block
            if len(body) > self._max_bytes:
                raise MediaError(f"the file has more than {self._max_bytes} bytes.")
        return bytes(body)


class _HostFault(MediaError):
    """A host did not send a file within its time, or sent headers without end; it is left alone for a while."""


@dataclass(slots=True)
class _HostSpeed:
    """How a host behaves: a silent one, or one that was slow for `_PATIENCE_S` seconds in all, is left alone."""

    slow_s: float = 0.0
    pause_s: float = 0.0
    paused_until_s: float = -math.inf
    why: str = ""  # it is left alone

    def note(self, took_s: float, now_s: float) -> None:
        """Count an answer that came; a quick one shows that the host is well again."""
        self.slow_s = self.slow_s + took_s if took_s > _QUICK_S else 0.0
        if self.slow_s > _PATIENCE_S:
            self.pause(now_s)
        elif not self.slow_s:
            self.pause_s = 0.0

    def pause(self, now_s: float, why: str = "was silent or slow") -> None:
        """Leave the host alone, each time for twice as long."""
        self.slow_s, self.why = 0.0, why
        self.pause_s = min(_LONGEST_PAUSE_S, 2 * self.pause_s or _PAUSE_S)
        self.paused_until_s = now_s + self.pause_s


@dataclass(slots=True)
class _FileBudget:
    """What is left for one file over all its connections: time, and bytes on the wire, headers included."""

    clock: Callable[[], float]
    deadline_s: float
    max_bytes: int
    received: int = 0
    head_is_read: bool = False

    def left_s(self) -> float:
        """Return the seconds that are left; _HostFault where there are none."""
        left_s = self.deadline_s - self.clock()
        if left_s <= 0:
            raise _HostFault(f"the file took longer than {_WHOLE_S:.0f} s.")
        return left_s

    def take(self, n_bytes: int) -> None:
        """Count received bytes; MediaError where there are too many."""
        self.received += n_bytes
        if self.received > _HEAD_BYTES and not self.head_is_read:
            raise _HostFault(f"the file has more than {_HEAD_BYTES} bytes of headers.")
        if self.received > _HEAD_BYTES + self.max_bytes:
            raise MediaError(f"the file has more than {self.max_bytes} bytes.")


class _BudgetedStream(httpcore.NetworkStream):
    """A connection that ends when the time or the bytes of its file are used up: each read has a timeout of its own."""

    def __init__(self, stream: httpcore.NetworkStream, budget: _FileBudget) -> None:
        self._stream, self._budget = stream, budget

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, self._within(timeout))
        self._budget.left_s()
        self._budget.take(len(data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._within(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._within(timeout))
        return _BudgetedStream(secured, self._budget)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _within(self, timeout: float | None) -> float:
        return min(self._budget.left_s(), timeout or math.inf)


class _CheckedNetwork(httpcore.SyncBackend):
    """Connects to an IP address that was checked, not to a host name."""

    def __init__(self, resolve: Resolve, budget: _FileBudget, *, any_address: bool, private: bool) -> None:
        super().__init__()
        self._resolve, self._budget, self._any, self._private = resolve, budget, any_address, private

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
        within_s = min(self._budget.left_s(), timeout or math.inf)
        stream = super().connect_tcp(str(addresses[0]), port, within_s, local_address, socket_options)
        return _BudgetedStream(stream, self._budget)


def _connection_pool(home: str, network: httpcore.NetworkBackend) -> httpcore.ConnectionPool:
    """Return connections to one file: to Label Studio (`home`) on the way of its client, to other hosts directly.

    A proxy would resolve their names itself, and no address could be checked.
    """
    found = environment_proxy(home) if home else None
    proxy = httpcore.Proxy(found.address, auth=found.login) if found else None
    return httpcore.ConnectionPool(ssl_context=tls_context(), network_backend=network, proxy=proxy)


def _is_allowed_ip(address: IPv4Address | IPv6Address, *, private: bool) -> bool:
    """Return whether an IP address is public; `private` also allows private networks and loopback, not link-local.

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


def _is_below(url: SplitResult, home: SplitResult) -> bool:
    """Return whether an address belongs to Label Studio, and not to another service on the same host."""
    path = unquote(url.path)
    return _origin(url) == _origin(home) and path.startswith(home.path) and ".." not in path.split("/")


def _is_media(url: SplitResult, home: SplitResult) -> bool:
    """Return whether an address of Label Studio's is that of a media file; only there our token is sent.

    Some servers decode and resolve a path before they choose what answers: a path that could become another is none.
    """
    path, decoded = url.path, unquote(url.path)
    while decoded != path:
        path, decoded = decoded, unquote(decoded)
    parts = [part.partition(";")[0] for part in path.removeprefix(home.path).split("/")]  # "..;" is ".." to Java
    is_plain = not {"", ".", ".."} & set(parts[:-1]) and parts[-1] not in (".", "..") and "\\" not in path
    return is_plain and _MEDIA_PATH.match(url.path.removeprefix(home.path)) is not None


def _in_ascii(url: SplitResult) -> str:
    """Return an address as browsers send it.

    >>> _in_ascii(urlsplit("http://käse.example/größe 1%20.png?a=ü"))
    'http://xn--kse-qla.example/gr%C3%B6%C3%9Fe%201%20.png?a=%C3%BC'
    """
    host = url.netloc if url.netloc.isascii() else url.netloc.encode("idna").decode()
    path, query = (quote(part, safe=_ADDRESS_SIGNS) for part in (url.path, url.query))
    return url._replace(netloc=host, path=path, query=query, fragment="").geturl()


def _origin(url: SplitResult) -> tuple[str, str, int]:
    return url.scheme, (url.hostname or "").rstrip("."), url.port or (443 if url.scheme == "https" else 80)


def _resolve(host: str, port: int) -> Sequence[str]:
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise httpcore.ConnectError(f"{host} cannot be resolved") from error
    return [str(entry[4][0]) for entry in entries]
