"""Where a request comes from: the Host and Origin headers that pages and machine routes accept, in one place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ml_backend.errors import BackendError
from ml_backend.host_names import LOOPBACK, KnownHosts, host_name

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([^/?#@\s\\]+)")
_FORM = "application/x-www-form-urlencoded"
_SAFE = ("GET", "HEAD", "OPTIONS")
_FORWARDED = re.compile(r"HTTP_(X_)?(FORWARDED.*|VIA|REAL_IP|.*CLIENT_IP|.*CONNECTING_IP|ORIGINAL_.*|ENVOY_.*)")


class CrossSite(BackendError):
    """A request names another host, or comes from a page of another site (HTTP 403)."""


def mime_type(environ: Mapping[str, Any]) -> str:
    """Return the type of a request's body without its parameters, in small letters; "" where it names none."""
    return str(environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower()


def has_known_host(environ: Mapping[str, Any], hosts: KnownHosts) -> bool:
    """Return whether a request was sent to a name of this service; only old programs send no Host header."""
    host = environ.get("HTTP_HOST")
    return host is None or hosts.accepts(host)


def is_cross_site(environ: Mapping[str, Any], hosts: KnownHosts, public: str) -> bool:
    """Return whether a browser sends a request for a page of another site.

    Label Studio calls from its server, without Origin. Pages of ours send their own host as Origin, or "null" with a
    form, because of our referrer policy; a form proves by its key that it is ours, and no other route accepts forms.
    `public` is "host:port" of our public address, because a proxy may send another Host header. Another port of the
    host that was called, and of this machine, is another service.
    """
    origin, method = environ.get("HTTP_ORIGIN"), environ["REQUEST_METHOD"]
    if origin is not None and not (origin == "null" and method == "POST" and mime_type(environ) == _FORM):
        match = _ORIGIN.fullmatch(origin.lower())
        host = environ.get("HTTP_HOST", "").lower()
        others = hosts.names - {host_name(host)} - LOOPBACK
        if match is None or match[1] not in (host, public.lower(), *others):
            return True
    return method not in _SAFE and environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("same-origin", "none")


def is_own_loopback(environ: Mapping[str, Any]) -> bool:
    """Return whether a program on this machine calls us by a loopback name, and not through a proxy."""
    return has_known_host(environ, KnownHosts()) and not any(map(_FORWARDED.fullmatch, environ))
