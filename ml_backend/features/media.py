"""Open the images of tasks within limits: data URIs, and files of Label Studio and of allowed hosts, from no other."""

from __future__ import annotations

import binascii
import io
import socket
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, unquote_to_bytes, urljoin, urlsplit

import httpcore
import numpy as np

from ml_backend.errors import BackendError, SettingsError
from ml_backend.records import field_value

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")  # what browsers show; Pillow's other readers are not used
Resolve = Callable[[str, int], Sequence[str]]  # a host and a port to addresses

_CONNECT_S = 2.0
_WHOLE_S = 10.0  # one file, from the lookup of its host to its last byte
_HOPS = 3  # redirects; each follows the same rules
_PAUSE_S = 30.0  # before a silent host is asked again: a predict request may have a thousand tasks
_REDIRECT = (301, 302, 303, 307, 308)
_OK = 200
_PRIVATE = "private:"
_MAX_SHOWN = 80  # characters of an address in a message


class MediaError(BackendError):
    """An image of a task cannot be opened: it is missing, too large, broken, or not allowed."""


Fetch = Callable[[str], bytes]  # an address to its bytes, with a time limit of its own; raises MediaError


@dataclass(frozen=True, slots=True)
class Media:
    """How media are fetched, and how large they may be."""

    fetch: Fetch | None = None  # by default no task can make the service open a file or call a host
    max_bytes: int = 32 << 20  # of the file
    max_pixels: int = 50_000_000  # of the opened image: allows a large photograph, not a decompression bomb

    def read_bytes(self, value: Any) -> bytes:
        """Return the bytes of a task's value, an address; MediaError where they cannot be read."""
        if not isinstance(value, str) or not value:
            raise MediaError(f"wanted the address of an image, got {type(value).__name__}.")
        if value[:5].lower() != "data:":
            if self.fetch is None:
                what = f"{value[:_MAX_SHOWN]!r} is not a data URI, and there is no fetcher for other addresses."
                raise MediaError(what, hint="Import images as data URIs, or give the recipe Media(fetch=...).")
            data = self.fetch(value)
        else:
            if len(value) > 3 * self.max_bytes + 1_000:  # percent signs take three characters a byte
                raise MediaError(f"the data URI has {len(value)} characters; the limit is {self.max_bytes} bytes.")
            data = _data_uri(value)
        if len(data) > self.max_bytes:
            raise MediaError(f"the image has {len(data)} bytes; the limit is {self.max_bytes}.")
        return data

    def open_image(self, value: Any, *, size: int) -> Image:
        """Return the image of a task's value, upright, in RGB on white; MediaError where it cannot be opened.

        It is reduced, but keeps at least `size` pixels per side where it has them.
        """
        # reason: Pillow is half of the imports at start, and text projects never need it
        from PIL import Image, ImageOps

        data = self.read_bytes(value)
        try:
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
            if image.width * image.height > self.max_pixels:
                raise MediaError(  # noqa: TRY301 - the other errors of this block come from Pillow
                    f"the image has {image.width} x {image.height} pixels, more than {self.max_pixels}."
                )
            image.draft("RGB", (2 * size, 2 * size))  # lets a JPEG be decoded at an eighth of its size
            # reduced before it is copied, so that a large image is in memory only once
            factor = min(image.size) // (2 * size)
            if factor > 1 and image.mode in ("L", "LA", "RGB", "RGBA"):
                image = image.reduce(factor)  # type: ignore[assignment]
            return _rgb(ImageOps.exif_transpose(image))
        except MediaError:
            raise
        except Exception as error:
            # Pillow's readers may raise anything on a hostile file
            raise MediaError(f"the image cannot be read: {type(error).__name__}: {str(error)[:120]}") from error


def media_address(data: Mapping[str, Any], field: str) -> str | None:
    """Return the address in a field of a task's data; None where there is none."""
    value = field_value(data, field)
    return value if isinstance(value, str) and value else None


def _data_uri(value: str) -> bytes:
    head, comma, body = value.partition(",")
    if not comma:
        raise MediaError("the data URI has no comma, so no data.")
    try:
        if head.rstrip().lower().endswith(";base64"):
            return b64decode("".join(body.split()), validate=True)
        return unquote_to_bytes(body)
    except (binascii.Error, ValueError) as error:
        raise MediaError(f"the data URI is not base64: {error}") from error


def _rgb(image: Image) -> Image:
    """Convert to 8-bit RGB; transparent parts become white, as on a page."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):  # more than 8 bits: Pillow would cut them at 255, so scale them
        levels = np.asarray(image, np.float64)
        levels -= levels.min()
        image = Image.fromarray((levels * (255.0 / max(levels.max(), 1.0))).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")


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


def _parse_hosts(hosts: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the public and the private hosts; SettingsError where a text is not a host."""
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
    """Return whether an address belongs to Label Studio, and not to another service on the same host."""
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
    return repr(address.partition("?")[0][:_MAX_SHOWN])
