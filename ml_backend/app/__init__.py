"""The Flask app of the ML backend: the protocol of Label Studio with authentication, limits and JSON errors."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from ml_backend.app.limits import Limits, drain
from ml_backend.app.metrics import Metrics
from ml_backend.app.openapi import make_document
from ml_backend.app.request_source import CrossSite
from ml_backend.app.routes import HealthDetails, Mount, json_response, make_post_route, ml_routes, open_routes
from ml_backend.app.security import (
    CHALLENGE,
    UNCOUNTED,
    Guard,
    NotAllowed,
    Security,
    TooManyAttempts,
    TrustedProxies,
    UnknownSecret,
    add_security_headers,
)
from ml_backend.app.webhook_routes import JobStatus, Webhook, webhook_routes
from ml_backend.errors import BackendError, TooLarge, WrongContentType
from ml_backend.predictor import Predictor

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = [
    "Limits",
    "Metrics",
    "Mount",
    "Security",
    "TrustedProxies",
    "create_app",
    "freeze_startup_objects",
    "make_post_route",
]

_STATUS: dict[type[BackendError], int] = {
    NotAllowed: 401,  # UnknownSecret too
    CrossSite: 403,
    TooLarge: 413,
    WrongContentType: 415,
    TooManyAttempts: 429,
}
_INCIDENTS: tuple[tuple[type[BackendError], str], ...] = (  # the event that is counted, by the first kind that fits
    (UnknownSecret, "webhook_secret_unknown"),
    (NotAllowed, "login_failed"),
    (CrossSite, "cross_site"),
    (TooManyAttempts, "login_blocked"),
)
_GC_THRESHOLD = 20_000  # new containers before a collection; a body of 1,000 tasks creates 5,000 that are in use
_log = logging.getLogger(__name__)


def create_app(
    predictor: Predictor,
    *,
    webhook: Webhook | None = None,
    job_status: JobStatus | None = None,
    limits: Limits | None = None,
    security: Security | None = None,
    metrics: Metrics | None = None,
    mounts: Iterable[Mount] = (),
    health_details: HealthDetails = dict,
) -> Flask:
    """Create the app that Label Studio calls.

    `webhook` gets the parsed body of each event and returns JSON; without it, /webhook answers that events are ignored.
    Its exceptions with a `hint` become HTTP 503. `mounts` are further routes, with the same limits and JSON errors; one
    may replace the page at `/`. By default bodies have up to 256 MiB, and there is no login.
    """
    limits, security, metrics = limits or Limits(), security or Security(), metrics or Metrics()
    guard = Guard(security)
    app = Flask("ml_backend", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = limits.body_bytes
    mounts = tuple(mounts)
    openapi = make_document(*(mount.paths for mount in mounts))
    app.register_blueprint(ml_routes(predictor, guard, limits, metrics, openapi=openapi))
    app.register_blueprint(webhook_routes(webhook, job_status, guard, limits))
    with_sessions = set[str]()  # blueprints
    for mount in mounts:
        blueprint = mount.routes(guard, limits)
        app.register_blueprint(blueprint)
        with_sessions |= {blueprint.name} if mount.has_sessions else set()
    has_home = not any(rule.rule == "/" for rule in app.url_map.iter_rules())
    app.register_blueprint(open_routes(guard, health_details, has_home=has_home))
    # every route, also those that are added later; pages use the same checks on their forms
    app.before_request(lambda: None if request.blueprint in with_sessions else guard.check_source(request))
    _register_error_handlers(app, metrics)
    app.wsgi_app = _RequestMiddleware(app, limits, metrics, security.proxies)  # type: ignore[method-assign]
    return app


def freeze_startup_objects(app: Flask) -> Flask:
    """Exclude all objects that exist now from garbage collection; for a worker before its first request.

    Without it a full collection walks half a million objects of imported libraries, about 50 ms within a request.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, 20, 20)
    return app


class _RequestMiddleware:
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


def _register_error_handlers(app: Flask, metrics: Metrics) -> None:
    """Answer every error with {"error", "hint"}; unexpected ones show no internals."""

    @app.errorhandler(BackendError)
    def backend_error(error: BackendError) -> Response:
        status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 400)
        event = next((name for kind, name in _INCIDENTS if isinstance(error, kind)), "")
        if isinstance(error, TooLarge):
            event = f"limit_{error.limit}"
        # who guesses is blocked soon; browsers ask without a login first, to learn that they need one
        is_asked = request.method == "GET" and "Authorization" not in request.headers
        if event and not (isinstance(error, NotAllowed) and (UNCOUNTED in request.args or is_asked)):
            metrics.count(event)
            _log.warning("%s from %s refused: %s", _route_of(request), request.remote_addr, error)
        response = json_response({"error": str(error), "hint": error.hint}, status)
        if isinstance(error, NotAllowed):
            response.headers["WWW-Authenticate"] = CHALLENGE
        if isinstance(error, TooManyAttempts):
            response.headers["Retry-After"] = f"{error.wait_s:.0f}"
        return response

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        hint = "GET /openapi.json lists the routes."
        response = json_response({"error": f"{error.code} {error.name}", "hint": hint}, error.code or 500)
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return response

    @app.errorhandler(Exception)
    def unexpected_error(error: Exception) -> Response:
        hint = getattr(error, "hint", "")
        if hint:  # an error with advice, such as a store that is down
            _log.error("%s: %s", _route_of(request), error)
            return json_response({"error": str(error), "hint": hint}, 503)
        _log.exception("%s failed", _route_of(request))
        return json_response(
            {"error": "the server failed; its log says why.", "hint": "Please report it with the log."}, 500
        )


def _route_of(failed: Request) -> str:
    return f"{failed.method} {failed.url_rule.rule if failed.url_rule else 'an unknown route'}"
