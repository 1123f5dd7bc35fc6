"""The routes by which Label Studio 1.23 asks a model, and how other packages add routes of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Any

import orjson
from flask import Blueprint, Response, request

from ml_backend.app.limits import Limits, read_json
from ml_backend.app.metrics import CONTENT_TYPE, Metrics
from ml_backend.app.openapi import SECRET, Paths, describe_json_route
from ml_backend.app.security import Guard
from ml_backend.errors import BodyError, TooLarge
from ml_backend.label_config import read_label_config
from ml_backend.labelstudio.parsing import json_type, read_project_id
from ml_backend.number_format import format_count
from ml_backend.predictor import Predictor

HealthDetails = Callable[[], Mapping[str, Any]]
UP = {"status": "UP"}
LABEL_STUDIO_AGENT = "heartex/"  # how its requests to ML backends begin their User-Agent
_HOME_PAGE = Template("""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>label-studio-hitl</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; color: #222; }
code { background: #f2f2f2; padding: .1rem .3rem; border-radius: 3px; }
</style></head>
<body>
<h1>label-studio-hitl is up</h1>
<p>This is an ML backend for Label Studio: software talks to it, people work in Label Studio.</p>
<p>To connect a project, run <code>hitl connect PROJECT</code>, or in Label Studio open
Settings &gt; Model &gt; Connect Model and enter this page's address$login.</p>
<p>For programs: <code>GET /health</code>, <code>/metrics</code>, <code>/openapi.json</code>.</p>
</body></html>
""")


def json_response(body: Any, status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY), status, content_type="application/json")


def open_routes(guard: Guard, health_details: HealthDetails, *, has_home: bool) -> Blueprint:
    """Return the routes without login: /health, and with `has_home` the page `/`, JSON for programs.

    /health answers 200 as long as the process is alive. A program with the login, or of this machine where there is
    none, finds `health_details` in it.
    """
    routes = Blueprint("open", __name__)

    @routes.get("/health")
    def health() -> Response:
        """Label Studio waits one second for any 2xx with JSON, each time that somebody opens a task."""
        if request.headers.get("User-Agent", "").startswith(LABEL_STUDIO_AGENT) or not guard.may_read_details(request):
            return json_response(UP)
        return json_response({**UP, **health_details()})

    def home() -> Response:
        """Answer in the format that the request accepts."""
        if request.accept_mimetypes.best_match(("application/json", "text/html")) != "text/html":
            return json_response(UP)
        page = _HOME_PAGE.substitute(login=" with Basic authentication" if guard.has_login else "")
        return Response(page, content_type="text/html; charset=utf-8", headers={"Vary": "Accept"})

    if has_home:
        routes.add_url_rule("/", view_func=home)
    return routes


def ml_routes(
    predictor: Predictor, guard: Guard, limits: Limits, metrics: Metrics, *, openapi: Mapping[str, Any]
) -> Blueprint:
    """Return the routes of a model, which need the login; `openapi` is the document of the whole app."""
    views = _ModelViews(predictor, limits, metrics, openapi)
    routes = Blueprint("ml", __name__)
    routes.before_request(lambda: guard.check_ml_request(request))
    for name in ("predict", "setup", "validate", "delete", "duplicate_model"):
        routes.add_url_rule(f"/{name}", view_func=getattr(views, name), methods=["POST"])
    routes.add_url_rule("/versions", view_func=views.versions, methods=["GET", "POST"])
    routes.add_url_rule("/metrics", view_func=views.metrics)
    routes.add_url_rule("/openapi.json", view_func=views.openapi)
    return routes


class _ModelViews:
    """The views of `ml_routes`."""

    def __init__(self, predictor: Predictor, limits: Limits, metrics: Metrics, openapi: Mapping[str, Any]) -> None:
        self._predictor, self._limits, self._metrics, self._openapi = predictor, limits, metrics, openapi

    def predict(self) -> Response:
        """Return one result per task, in order; each has the version that /setup returns."""
        body = read_object(self._limits)
        project = read_project_id(body.get("project"))
        tasks = body.get("tasks")
        if not isinstance(tasks, list):
            raise BodyError("tasks is missing or not a list.", hint="Wanted a list of task objects in 'tasks'.")
        if len(tasks) > self._limits.tasks:
            wanted = f"the body holds more than {format_count(self._limits.tasks)} tasks."
            raise TooLarge(wanted, limit="tasks", hint="Select fewer at once.")
        results = self._predictor.predict(project, _text(body, "label_config"), tasks)
        version = results[0]["model_version"] if results else self._predictor.version(project)
        self._metrics.count("tasks", len(results))
        return json_response({"results": results, "model_version": version})

    def setup(self) -> Response:
        """Return the model version, which Label Studio asks for before each prediction; its token is not stored."""
        body = read_object(self._limits)
        project = read_project_id(body.get("project"))
        read_label_config(_text(body, "schema"))
        return json_response({"model_version": self._predictor.version(project)})

    def versions(self) -> Response:
        """Return all versions of a project; without a project, as in Label Studio's GET, those that serve now."""
        project_arg: Any = request.args.get("project")
        if project_arg is None and not request.content_length and request.method == "GET":
            return json_response({"versions": self._predictor.serving()})
        project = read_project_id(read_object(self._limits).get("project") if project_arg is None else project_arg)
        return json_response({"versions": self._predictor.versions(project)})

    def validate(self) -> Response:
        """Return the controls of a label config; 400 with the reason where it cannot be read."""
        config = read_label_config(_text(read_object(self._limits), "config"))
        return json_response({"status": "ok", "controls": [control.name for control in config.controls]})

    def delete(self) -> Response:
        """Confirm that a backend was disconnected; models and annotations stay until an operator removes them."""
        return json_response({"status": "kept", "project": read_project_id(read_object(self._limits).get("project"))})

    def duplicate_model(self) -> Response:
        """Confirm that a project was copied; its models are not, because they belong to the source project's labels."""
        body = read_object(self._limits)
        source, target = read_project_id(body.get("project_src")), read_project_id(body.get("project_dst"))
        return json_response({"status": "not copied", "project_src": source, "project_dst": target})

    def metrics(self) -> Response:
        """Return Prometheus text."""
        return Response(self._metrics.render(), content_type=CONTENT_TYPE)

    def openapi(self) -> Response:
        """Return the OpenAPI 3.1 document of this app."""
        return json_response(self._openapi)


@dataclass(frozen=True, slots=True)
class Mount:
    """Routes for the app, and their description in /openapi.json."""

    routes: Callable[[Guard, Limits], Blueprint]  # the function chooses how to use the guard
    paths: Paths
    has_sessions: bool = False  # pages: people sign in under any host name, and their forms carry a key


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

    described = describe_json_route(summary, dict(response), SECRET, body=dict(body))
    return Mount(make_routes, {path: {"post": described}})


def read_object(limits: Limits) -> Mapping[str, Any]:
    """Return the JSON object in the body of the current request; BodyError where it is something else."""
    body = read_json(request.environ, limits)
    if not isinstance(body, dict):
        hint = "Label Studio sends {'project': ...}."
        raise BodyError(f"the body is {json_type(body)}; wanted an object.", hint=hint)
    return body


def _text(body: Mapping[str, Any], key: str) -> str:
    text = body.get(key)
    if not isinstance(text, str):
        raise BodyError(f"{key} is missing or not a text.", hint="Wanted the project's label config as XML.")
    return text
