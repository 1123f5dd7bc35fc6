"""Further routes of the app, with their OpenAPI description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request

from ml_backend.app import openapi
from ml_backend.app.limits import Limits, read_json
from ml_backend.app.routes import json_response
from ml_backend.app.security import Guard


@dataclass(frozen=True, slots=True)
class Mount:
    """Routes for the app, and their description in /openapi.json."""

    routes: Callable[[Guard, Limits], Blueprint]  # the function chooses how to use the guard
    paths: openapi.Paths


def make_post_route(
    path: str,
    handle: Callable[[Any], Mapping[str, Any]],
    *,
    summary: str,
    body: Mapping[str, Any],
    response: Mapping[str, Any],
) -> Mount:
    """Return a POST route that passes its parsed JSON body to `handle` and answers with what it returns.

    It asks for the webhook secret or the login. A BodyError of `handle` becomes HTTP 400. `body` and `response` are the
    JSON schemas of request and response.
    """

    def make_routes(guard: Guard, limits: Limits) -> Blueprint:
        routes = Blueprint(path.strip("/").replace("/", "_"), __name__)
        routes.before_request(lambda: guard.check_webhook_request(request))

        @routes.post(path)
        def view() -> Response:
            """Parse the body, pass it on, and answer."""
            return json_response(handle(read_json(request.environ, limits)))

        return routes

    return Mount(
        make_routes, {path: {"post": openapi.describe_post(summary, dict(body), dict(response), openapi.SECRET)}}
    )
