"""Our Flask app: Label Studio's ML backend protocol with guards, limits and answers that are always JSON."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from flask import Flask, Request, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from ml_backend.app.blueprints import Mount, post
from ml_backend.app.limits import Limits
from ml_backend.app.metrics import Metrics
from ml_backend.app.middleware import Edge
from ml_backend.app.openapi import document
from ml_backend.app.routes import JobStatus, Webhook, answer, feedback_routes, home_routes, ml_routes, open_routes
from ml_backend.app.security import (
    CHALLENGE,
    CrossSite,
    Guard,
    NotAllowed,
    Security,
    TooManyAttempts,
)
from ml_backend.app.trusted_proxies import TrustedProxies
from ml_backend.errors import BackendError, TooLarge
from ml_backend.predictor import Predictor

__all__ = ["Limits", "Metrics", "Mount", "Security", "TrustedProxies", "create_app", "post"]

_STATUS: dict[type[BackendError], int] = {NotAllowed: 401, CrossSite: 403, TooLarge: 413, TooManyAttempts: 429}
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
) -> Flask:
    """Make the app that Label Studio talks to; `webhook` takes the parsed body of each event and answers JSON.

    Without it, /webhook says that nobody listens. Its exceptions that carry a `hint` become a 503. `mounts` add
    routes of their own, behind the guard, within the limits and with the same JSON errors; one may take over `/`.
    """
    limits, security, metrics = limits or Limits(), security or Security(), metrics or Metrics()
    guard = Guard(security)
    app = Flask("ml_backend", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = limits.body_bytes
    app.register_blueprint(open_routes())
    mounts = tuple(mounts)
    openapi = document(*(mount.paths for mount in mounts))
    app.register_blueprint(ml_routes(predictor, guard, limits, metrics, openapi=openapi))
    app.register_blueprint(feedback_routes(webhook, job_status, guard, limits))
    for mount in mounts:
        app.register_blueprint(mount.routes(guard, limits))
    if not any(rule.rule == "/" for rule in app.url_map.iter_rules()):
        app.register_blueprint(home_routes(has_login=security.has_login))
    _answer_errors_in_json(app, metrics)
    app.wsgi_app = Edge(app, limits, metrics, security.proxies)  # type: ignore[method-assign]
    return app


def _answer_errors_in_json(app: Flask, metrics: Metrics) -> None:
    """Every error is {"error", "hint"}: ours with its status, HTTP's own, and the rest with no word of our inside."""

    @app.errorhandler(BackendError)
    def refused(error: BackendError) -> Response:
        status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 400)
        if isinstance(error, TooLarge):
            metrics.count(f"limit_{error.limit}")
        response = answer({"error": str(error), "hint": error.hint}, status)
        if isinstance(error, NotAllowed):
            metrics.count("login_failed")
            response.headers["WWW-Authenticate"] = CHALLENGE
        if isinstance(error, TooManyAttempts):
            metrics.count("login_blocked")
            response.headers["Retry-After"] = f"{error.wait_s:.0f}"
        return response

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        hint = "GET /openapi.json lists the routes."
        response = answer({"error": f"{error.code} {error.name}", "hint": hint}, error.code or 500)
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return response

    @app.errorhandler(Exception)
    def failed(error: Exception) -> Response:
        hint = getattr(error, "hint", "")
        if hint:  # an error that explains itself: the store that the webhook writes to is down, say
            _log.error("%s: %s", _where(request), error)
            return answer({"error": str(error), "hint": hint}, 503)
        _log.exception("%s failed", _where(request))
        return answer({"error": "the server failed; its log says why.", "hint": "Please report it with the log."}, 500)


def _where(asked: Request) -> str:
    return f"{asked.method} {asked.url_rule.rule if asked.url_rule else 'an unknown route'}"
