"""Further routes of the app, each with what /openapi.json says of it, behind the same guard and limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request

from ml_backend.app import openapi
from ml_backend.app.limits import Limits, read_json
from ml_backend.app.routes import answer
from ml_backend.app.security import Guard


@dataclass(frozen=True, slots=True)
class Mount:
    """Routes that are added to the app, and how OpenAPI describes each of them."""

    routes: Callable[[Guard, Limits], Blueprint]  # whoever makes the routes chooses the guard
    paths: openapi.Paths


def post(
    path: str,
    take: Callable[[Any], Mapping[str, Any]],
    *,
    summary: str,
    body: Mapping[str, Any],
    gives: Mapping[str, Any],
) -> Mount:
    """Give a route that hands its parsed JSON body to `take` and answers what it gives.

    Behind the webhook secret or the login; a BodyError of `take` is a 400 that says what was wanted. `body` and
    `gives` are the JSON schemas of question and answer.
    """

    def mount(guard: Guard, limits: Limits) -> Blueprint:
        routes = Blueprint(path.strip("/").replace("/", "_"), __name__)
        routes.before_request(lambda: guard.webhook(request))

        @routes.post(path)
        def view() -> Response:
            """Parse, hand on, answer."""
            return answer(take(read_json(request.environ, limits)))

        return routes

    return Mount(mount, {path: {"post": openapi.post(summary, dict(body), dict(gives), openapi.SECRET)}})
