"""Connections to other servers: trusted certificates, the proxy on the way, and a sentence for each failure."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from ml_backend.errors import SettingsError
from ml_backend.host_names import is_loopback

FAILURES = (httpx.HTTPError, httpx.InvalidURL, SettingsError)  # what a request of `http_client` may raise

_NO_PROXY = "What needs no proxy stands in NO_PROXY."
_TRUST = (
    "Put that certificate, or the one of its authority, into a PEM file, and set SSL_CERT_FILE to this file "
    "(REQUESTS_CA_BUNDLE is not read)."
)
_CLOCK = "Check the clock of this machine, and renew the certificate on that server."
# by OpenSSL's verify code, X509_V_ERR_...
_CERTIFICATES = {
    9: ("is not valid yet", _CLOCK),
    10: ("has expired", _CLOCK),
    18: ("is self-signed, and this machine does not trust it", _TRUST),
    **dict.fromkeys((2, 19, 20, 21), ("is signed by an authority that this machine does not trust", _TRUST)),
    **dict.fromkeys((62, 64), ("is for another name", "Write a name of that certificate in {setting}.")),
}
_NO_TLS = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"}
)
_TLS_RECORD = re.compile(r"x1[56]\\?x03")  # an alert or a handshake where HTTP was expected
_HTTPS_WANTED = re.compile(r"HTTP request .{0,40}HTTPS (port|server)|SSL-enabled server port", re.IGNORECASE)
_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL)
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_PROXY_WANTS_LOGIN = 407


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a server was not reached, without a full stop, and the remedy; neither contains a password."""

    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what}. {self.fix}"


@dataclass(frozen=True, slots=True)
class EnvironmentProxy:
    """A proxy that a variable of the environment names."""

    address: str  # without user and password
    variable: str
    login: tuple[str, str] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return f"the proxy {self.address} ({self.variable})"


def environment_proxy(url: str) -> EnvironmentProxy | None:
    """Return the proxy for an address; None for none. Loopback is never proxied, nor what NO_PROXY names.

    SettingsError where the variable contains no address of a proxy, or one whose package is missing.
    """
    proxies, where = getproxies(), _origin(url)
    scheme = next((name for name in (where.partition(":")[0], "all") if proxies.get(name)), "")
    if not scheme or is_loopback(_host(url)) or proxy_bypass(where.partition("//")[2]) or _in_no_proxy(_host(url)):
        return None
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    variable = next((name for name in names if os.environ.get(name)), "the proxy of the system's settings")
    address = proxies[scheme] if "://" in proxies[scheme] else f"http://{proxies[scheme]}"
    proxy = EnvironmentProxy(_origin(address), variable, _login(address))
    kind = proxy.address.partition(":")[0]
    if kind not in _PROXY_SCHEMES or not _host(address):
        hint = f"Wanted http://host:port or socks5://host:port. {_NO_PROXY}"
        raise SettingsError(f"{variable} is {proxy.address}, which is no proxy that can be used.", hint=hint)
    if kind.startswith("socks") and find_spec("socksio") is None:
        hint = f"Run: pip install socksio. {_NO_PROXY}"
        raise SettingsError(f"{proxy} needs the package socksio, which is not installed.", hint=hint)
    return proxy


def tls_context() -> ssl.SSLContext:
    """Return what verifies certificates: the authorities of this machine, those of certifi, and SSL_CERT_FILE.

    SettingsError where SSL_CERT_FILE cannot be read.
    """
    return _tls_context(os.environ.get("SSL_CERT_FILE", ""))


@cache  # it takes 30 ms
def _tls_context(file: str) -> ssl.SSLContext:
    context = httpcore.default_ssl_context()
    try:
        if file:
            context.load_verify_locations(cafile=file)
    except OSError as error:
        reason = "it holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
        hint = "Set it to a PEM file with the certificates that this machine shall trust, or unset it."
        raise SettingsError(f"SSL_CERT_FILE is {file!r}: {reason}.", hint=hint) from None
    return context


def http_client(url: str, *, proxied: bool = True, **options: Any) -> httpx.Client:
    """Return a client for one server, through the proxy that the environment names; SettingsError as above."""
    if not _host(url):
        hint = "Wanted http://host:port or https://host."
        raise SettingsError(f"{_origin(url)} is not an address that a request can be sent to.", hint=hint)
    found = environment_proxy(url) if proxied else None
    proxy = httpx.Proxy(found.address, auth=found.login) if found else None
    return httpx.Client(verify=tls_context(), proxy=proxy, trust_env=False, **options)


def describe_failure(error: BaseException, url: str, *, setting: str, proxied: bool = True) -> Failure:
    """Return why a request to `url` failed, and the remedy. `setting` is where the address is written.

    `error` is one of FAILURES, or of httpcore. Its own text may contain an address with a password, and is not used.

    >>> error = ConnectionRefusedError(errno.ECONNREFUSED, "")
    >>> print(describe_failure(error, "http://studio.example:8080/api", setting="LABEL_STUDIO_URL"))
    nothing listens at http://studio.example:8080 (connection refused). Start that server, or correct LABEL_STUDIO_URL.
    """
    if isinstance(error, SettingsError):
        return Failure(str(error).removesuffix("."), error.hint)
    try:
        proxy = environment_proxy(url) if proxied else None
    except SettingsError:
        proxy = None
    causes = list(_causes(error))
    cause = next((found for found in causes if isinstance(found, OSError)), causes[-1])
    if any(isinstance(found, (httpx.ProxyError, httpcore.ProxyError)) for found in causes):
        return _describe_proxy(str(error), proxy, _host(url))
    if isinstance(cause, ssl.SSLError):
        if proxy and proxy.address.startswith("https:") and _origin(url).startswith("http:"):
            return _describe_tls(cause, proxy.address, proxy.variable)  # nothing else speaks TLS
        return _describe_tls(cause, _origin(url), setting)
    if proxy is None:
        return _describe_socket(cause, error, _origin(url), setting)
    failure = _describe_socket(cause, error, proxy.address, proxy.variable)  # it is what is connected to
    return Failure(failure.what.replace(proxy.address, str(proxy)), f"{failure.fix} {_NO_PROXY}")


def describe_answer(status: int, text: str, location: str, url: str, *, setting: str, base: str = "") -> Failure | None:
    """Return why an answer is not of the server that was meant: a redirect, a proxy, https at this port; else None.

    `location` is its header, `url` what was requested, and `base` the start of it that stands in `setting`; without
    `base` the path is not shown, which may be a secret.

    >>> old, new = "http://labels.example/", "https://labels.example/"
    >>> print(describe_answer(301, "", f"{new}api/version", f"{old}api/version", setting="LABEL_STUDIO_URL", base=old))
    http://labels.example/ redirects to https://labels.example/. Write https://labels.example/ in LABEL_STUDIO_URL.
    """
    if status == _PROXY_WANTS_LOGIN:
        return describe_failure(httpx.ProxyError(f"{status}"), url, setting=setting)
    if status == 400 and _HTTPS_WANTED.search(text):
        return _wants_https(_origin(url), setting)
    if not (300 <= status < 400 and location):
        return None
    target = urljoin(url, location)
    whole, base = bool(base), base or f"{_origin(url)}/"
    rest = urlsplit(url).path.removeprefix(urlsplit(base).path)
    if target == url:
        fix = "Look at the settings of that server, or of the proxy in front of it: what it sends leads nowhere."
        return Failure(f"{shown_url(base)} redirects to itself", fix)
    if shown_url(target).endswith(rest):
        moved = shown_url(target).removesuffix(rest)
        return Failure(f"{shown_url(base)} redirects to {moved}", f"Write {moved} in {setting}.")
    fix = f"Write in {setting} the address, path included, at which that server answers programs without a log-in."
    return Failure(f"{shown_url(base)} redirects to {shown_url(target) if whole else _origin(target)}", fix)


def is_certificate_refused(error: BaseException) -> bool:
    """Return whether a request failed because of the server's certificate."""
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def is_name_unknown(error: BaseException) -> bool:
    """Return whether a request failed because this machine does not know the name of the server."""
    return any(isinstance(cause, socket.gaierror) for cause in _causes(error))


def shown_url(url: str) -> str:
    """Return an address without user, password and query."""
    path = url.partition("://")[2].partition("/")[2]
    return f"{_origin(url)}/{re.split(r'[?#]', path, maxsplit=1)[0]}"


def _describe_proxy(text: str, proxy: EnvironmentProxy | None, host: str) -> Failure:
    name, variable = (str(proxy), proxy.variable) if proxy else ("the proxy", "the address of the proxy")
    if str(_PROXY_WANTS_LOGIN) in text:
        fix = f"Write its user and password in {variable}: http://user:password@host:port."
        if proxy and proxy.login:
            fix = f"It does not accept the user and password in {variable}: correct them."
        return Failure(f"{name} wants a log-in before it connects to {host}", fix)
    return Failure(f"{name} did not connect to {host}: {text}", f"Ask who runs it to allow this host. {_NO_PROXY}")


def _describe_tls(cause: ssl.SSLError, where: str, setting: str) -> Failure:
    if isinstance(cause, ssl.SSLCertVerificationError):
        other = (f"is refused: {cause.verify_message}", "Make a new certificate for that server.")
        what, fix = _CERTIFICATES.get(cause.verify_code, other)
        if fix is _TRUST and (file := os.environ.get("SSL_CERT_FILE")):
            fix = f"SSL_CERT_FILE is {file}, which does not contain it. {fix}"
        return Failure(f"the certificate of {where} {what}", fix.format(setting=setting))
    if cause.reason in _NO_TLS:
        return _wants_http(where, setting)
    reason = (cause.reason or "the connection was closed").replace("_", " ").lower()
    fix = f"Look at the log of that server. If it speaks plain http there, write http:// in {setting}."
    return Failure(f"no TLS connection to {where} is made: {reason}", fix)


def _describe_socket(cause: BaseException, error: BaseException, where: str, setting: str) -> Failure:
    """Describe a failure of the connection itself, which leads to `where`: the server, or the proxy."""
    kind, text, host = type(error).__name__, str(cause), _host(where) or where
    if isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN:
        return Failure(f"the name {host} cannot be looked up now", "Check the network and the DNS of this machine.")
    if isinstance(cause, socket.gaierror) or type(cause) is UnicodeError:
        fix = f"Correct the name in {setting}; names of containers are known only in their own network."
        return Failure(f"there is no host named {host}", fix)
    if isinstance(cause, ConnectionRefusedError):
        inside = f"; inside a container, {host} is the container itself" if is_loopback(host) else ""
        fix = f"Start that server, or correct {setting}{inside}."
        return Failure(f"nothing listens at {where} (connection refused)", fix)
    if isinstance(cause, OSError) and cause.errno in _UNREACHABLE:
        return Failure(f"no network leads to {where}", f"Check the network of this machine, and {setting}.")
    if isinstance(cause, TimeoutError) and "handshake" in text:
        return _wants_http(where, setting)
    if isinstance(cause, TimeoutError) or "Timeout" in kind:
        if "Connect" in kind:
            fix = f"Check that it runs, that no firewall is in between, and {setting}."
            return Failure(f"{where} cannot be connected to within the time limit", fix)
        return Failure(f"{where} does not answer within the time limit", "Look at its load and its log, and try again.")
    return _describe_protocol(cause, error, where, setting)


def _describe_protocol(cause: BaseException, error: BaseException, where: str, setting: str) -> Failure:
    """Describe a failure after the connection was made, or before it was tried."""
    if _TLS_RECORD.search(str(cause)):
        return _wants_https(where, setting)
    if isinstance(cause, (httpx.InvalidURL, httpx.UnsupportedProtocol, httpcore.UnsupportedProtocol)):
        return Failure(f"{where} is not an address", f"Correct {setting}; wanted http://host:port or https://host.")
    if not isinstance(error, (httpx.TransportError, httpcore.NetworkError, httpcore.ProtocolError, OSError)):
        return Failure(f"the request to {where} failed ({type(error).__name__})", f"Check {setting}.")
    other = "https" if where.startswith("http:") else "http"
    fix = f"Look at its log, and try again. If it speaks {other} there, write {other}:// in {setting}."
    return Failure(f"{where} closed the connection without an answer: the connection was dropped", fix)


def _wants_http(where: str, setting: str) -> Failure:
    fix = f"Write {where.replace('https:', 'http:', 1)} in {setting}, or the port at which that server speaks https."
    return Failure(f"the server at {where} speaks plain http there, not https", fix)


def _wants_https(where: str, setting: str) -> Failure:
    fix = f"Write {where.replace('http:', 'https:', 1)} in {setting}."
    return Failure(f"the server at {where} speaks https there, not plain http", fix)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from.

    httpcore hides the cause of a broken connection, which is then its context; the context of any other error may be
    an earlier failure that was being handled.
    """
    found: BaseException | None = error
    while found is not None:
        yield found
        hidden = isinstance(found, (httpcore.NetworkError, httpcore.TimeoutException))
        found = found.__cause__ or (found.__context__ if hidden else None)


def _in_no_proxy(host: str) -> bool:
    """Return whether NO_PROXY has a network, such as 10.0.0.0/8, that an IP address is in; Python knows names only."""
    with suppress(ValueError):
        address = ip_address(host)
        for part in getproxies().get("no", "").split(","):
            with suppress(ValueError):
                if address in ip_network(part.strip(), strict=False):
                    return True
    return False


def _origin(url: str) -> str:
    """Return scheme, host and port of an address as they are written, without user and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme.lower()}://{re.split(r'[/?#]', rest, maxsplit=1)[0].rpartition('@')[2]}"


def _host(url: str) -> str:
    """Return the host of an address; "" where it is none, or one that no request can be sent to."""
    with suppress(ValueError, httpx.InvalidURL):
        parts = urlsplit(url)
        host = parts.hostname or ""
        if (parts.port is None or parts.port > 0) and host.encode("idna") and httpx.URL(url).host:
            return host
    return ""


def _login(url: str) -> tuple[str, str] | None:
    user, colon, password = url.partition("://")[2].rpartition("@")[0].partition(":")
    return (unquote(user), unquote(password)) if user or colon else None
