"""WSGI middleware of every request: caller address, time, security headers, and the end of refused bodies."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask

from ml_backend.app.limits import Limits, drain
from ml_backend.app.metrics import Metrics
from ml_backend.app.security import add_security_headers
from ml_backend.app.trusted_proxies import TrustedProxies

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class RequestMiddleware:
    """Sets the caller's address, measures each request, adds security headers, and reads refused bodies to the end.

    Outside Flask, because Flask's hooks would add a tenth to the time of each small request.
    """

    def __init__(self, app: Flask, limits: Limits, metrics: Metrics, proxies: TrustedProxies) -> None:
        self._wsgi_app: WSGIApplication = app.wsgi_app
        self._map = app.url_map
        self._limits, self._metrics, self._proxies = limits, metrics, proxies
        self._routes: frozenset[str] = frozenset()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        started = time.perf_counter()
        status = 500
        if self._proxies.networks:
            forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
            environ["REMOTE_ADDR"] = self._proxies.caller(environ.get("REMOTE_ADDR", ""), forwarded)

        def start(line: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal status
            status = int(line[:3])
            return start_response(line, add_security_headers(headers), exc_info)

        answer = self._wsgi_app(environ, start)
        if status >= 400 and environ["REQUEST_METHOD"] != "GET":
            drain(environ, self._limits)
        self._metrics.request(self._route(environ["PATH_INFO"]), status, time.perf_counter() - started)
        return answer

    def _route(self, path: str) -> str:
        """Return a path that is a route of the app, else "other", so that callers cannot create metric series."""
        if not self._routes:  # at the first request, because routes can be added until then
            self._routes = frozenset(rule.rule for rule in self._map.iter_rules())
        return path if path in self._routes else "other"
