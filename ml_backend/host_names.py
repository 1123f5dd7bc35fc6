"""Host names: those under which this service is reached, and those from which media may be loaded."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from ml_backend.errors import SettingsError

_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[0-9a-z](?:[0-9a-z._-]{0,251}[0-9a-z])?)\.?(?::([0-9]{1,5}))?")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PRIVATE = "private:"


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """The host names under which this service is reached; loopback names always are.

    Browsers send the name that a page used. So a name that somebody else pointed at our address (DNS rebinding) is
    refused. Nobody can do that with an IP address, nor in the public DNS with a name without a dot, such as that of a
    container: a service that listens `beyond_loopback`, which needs a login anyway, accepts them all.

    >>> hosts = ("hitl.example.org", "[::1]:9090", "evil.example", "10.0.0.7:9090", "hitl:9090")
    >>> [KnownHosts(frozenset({"hitl.example.org"})).accepts(host) for host in hosts]
    [True, True, False, False, False]
    >>> [KnownHosts(beyond_loopback=True).accepts(host) for host in hosts]
    [False, True, False, True, True]
    """

    names: frozenset[str] = frozenset()
    beyond_loopback: bool = False

    def accepts(self, host: str) -> bool:
        """Return whether a Host header names this service; its port is not compared, because ports are mapped."""
        name = host_name(host)
        if name in self.names or name in LOOPBACK:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return self.beyond_loopback and bool(name) and "." not in name and not name.isdecimal()
        return self.beyond_loopback or address.is_loopback


def is_loopback(host: str) -> bool:
    """Return whether a host, without port, is this machine itself.

    >>> [is_loopback(host) for host in ("localhost", "127.1.2.3", "::1", "0.0.0.0", "label-studio")]
    [True, True, True, False, False]
    """
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def host_name(host: str) -> str:
    """Return the name in a Host header, in small letters and without port; "" where it is none.

    >>> [host_name(host) for host in ("LocalHost:80", "[::1]:9090", "me@127.0.0.1", "[::1", "a b")]
    ['localhost', '::1', '', '', '']
    """
    match = _HOST.fullmatch(host.lower())
    return match[1].strip("[]") if match and int(match[2] or 0) < 65_536 else ""


def read_host_names(texts: Iterable[str]) -> frozenset[str]:
    """Return the names in a list of hosts, with or without ports; SettingsError names what is no host."""
    names = set[str]()
    for text in filter(None, (text.strip() for text in texts)):
        if not host_name(text):
            hint = "Wanted names without path, such as hitl.example.org."
            raise SettingsError(f"HITL_ALLOWED_HOSTS contains {text!r}, which is not a host.", hint=hint)
        names.add(host_name(text))
    return frozenset(names)


def read_media_hosts(texts: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the public and the private hosts of a list, "host", "host:port" or "private:host", in small letters.

    SettingsError names what is none of these.

    >>> [sorted(hosts) for hosts in read_media_hosts(["CDN.example.org", "private:minio:9000"])]
    [['cdn.example.org'], ['minio:9000']]
    """
    public, private = set[str](), set[str]()
    for host in filter(None, (text.strip().lower() for text in texts)):
        name = host.removeprefix(_PRIVATE)
        if not host_name(name):
            raise SettingsError(
                f"HITL_MEDIA_HOSTS contains {host!r}, which is not a host.",
                hint="Wanted host, host:port or private:host.",
            )
        (private if host.startswith(_PRIVATE) else public).add(name)
    return frozenset(public), frozenset(private)
