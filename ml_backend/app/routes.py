"""Label Studio's ML backend protocol, route by route, as 1.23 really speaks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from flask import Blueprint, Response, request

from ml_backend.app.home_page import home
from ml_backend.app.limits import Limits, read_json
from ml_backend.app.metrics import CONTENT_TYPE, Metrics
from ml_backend.app.security import Guard
from ml_backend.errors import BodyError, TooLarge
from ml_backend.label_config import read_label_config
from ml_backend.labelstudio.parsing import json_type, read_project_id
from ml_backend.predictor import Predictor

Webhook = Callable[[Any], Mapping[str, Any]]  # a parsed body in, a JSON-able answer out
JobStatus = Callable[[str], str | None]  # a job that /webhook named -> "queued", "started", ...; None: no such job

UP = {"status": "UP"}
_JOB_STATES = ("queued", "started", "finished", "failed")


def answer(body: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY), status, content_type="application/json")


def open_routes() -> Blueprint:
    """What anybody may ask: whether we are up, and nothing else."""
    routes = Blueprint("open", __name__)

    @routes.get("/health")
    def health() -> Response:
        """Any 2xx JSON within a second keeps Label Studio content."""
        return answer(UP)

    return routes


def home_routes(*, has_login: bool) -> Blueprint:
    """What stands at `/` where nothing else is mounted there: JSON health for programs, a page for browsers."""
    routes = Blueprint("home", __name__)

    @routes.get("/")
    def root() -> Response:
        """Say that we are up, in the form that was asked for."""
        if request.accept_mimetypes.best_match(("application/json", "text/html")) != "text/html":
            return answer(UP)
        response = Response(home(has_login=has_login), content_type="text/html; charset=utf-8")
        response.headers["Vary"] = "Accept"
        return response

    return routes


def ml_routes(
    predictor: Predictor, guard: Guard, limits: Limits, metrics: Metrics, *, openapi: Mapping[str, Any]
) -> Blueprint:
    """What Label Studio asks of a model, behind the login; `openapi` is the document of the whole app."""
    views = _Model(predictor, limits, metrics, openapi)
    routes = Blueprint("ml", __name__)
    routes.before_request(lambda: guard.ml(request))
    routes.add_url_rule("/predict", view_func=views.predict, methods=["POST"])
    routes.add_url_rule("/setup", view_func=views.setup, methods=["POST"])
    routes.add_url_rule("/versions", view_func=views.versions, methods=["GET", "POST"])
    routes.add_url_rule("/validate", view_func=views.validate, methods=["POST"])
    routes.add_url_rule("/delete", view_func=views.delete, methods=["POST"])
    routes.add_url_rule("/duplicate_model", view_func=views.duplicate_model, methods=["POST"])
    routes.add_url_rule("/metrics", view_func=views.metrics, methods=["GET"])
    routes.add_url_rule("/openapi.json", view_func=views.openapi, methods=["GET"])
    return routes


class _Model:
    """The views behind `ml_routes`."""

    def __init__(self, predictor: Predictor, limits: Limits, metrics: Metrics, openapi: Mapping[str, Any]) -> None:
        self._predictor, self._limits, self._metrics, self._openapi = predictor, limits, metrics, openapi

    def predict(self) -> Response:
        """One result per task, in order; every prediction carries the version that /setup answers."""
        body = _object(self._limits)
        project = read_project_id(body.get("project"))
        tasks = body.get("tasks")
        if not isinstance(tasks, list):
            raise BodyError("tasks is missing or no list.", hint="Wanted a list of task objects in 'tasks'.")
        if len(tasks) > self._limits.tasks:
            wanted = f"the body holds more than {self._limits.tasks:,} tasks."
            raise TooLarge(wanted, limit="tasks", hint="Select fewer at once.")
        results = self._predictor.predict(project, _text(body, "label_config"), tasks)
        version = results[0]["model_version"] if results else self._predictor.version(project)
        self._metrics.count("tasks", len(results))
        return answer({"results": results, "model_version": version})

    def setup(self) -> Response:
        """Label Studio asks before every prediction, and reads the version only; its token in the body is not kept."""
        body = _object(self._limits)
        project = read_project_id(body.get("project"))
        read_label_config(_text(body, "schema"))
        return answer({"model_version": self._predictor.version(project)})

    def versions(self) -> Response:
        """All versions of a project; what serves now where none is named, as Label Studio's GET names none."""
        named: Any = request.args.get("project")
        if named is None and not request.content_length and request.method == "GET":
            return answer({"versions": self._predictor.serving()})
        project = read_project_id(_object(self._limits).get("project") if named is None else named)
        return answer({"versions": self._predictor.versions(project)})

    def validate(self) -> Response:
        """Whether we can read a label config; 400 with the reason where not."""
        config = read_label_config(_text(_object(self._limits), "config"))
        return answer({"status": "ok", "controls": [control.name for control in config.controls]})

    def delete(self) -> Response:
        """Label Studio lets go of a backend; models and people's answers stay until somebody here removes them."""
        return answer({"status": "kept", "project": read_project_id(_object(self._limits).get("project"))})

    def duplicate_model(self) -> Response:
        """A copied project starts cold: a model answers only for the project whose people taught it."""
        body = _object(self._limits)
        source, target = read_project_id(body.get("project_src")), read_project_id(body.get("project_dst"))
        return answer({"status": "not copied", "project_src": source, "project_dst": target})

    def metrics(self) -> Response:
        """Prometheus text."""
        return Response(self._metrics.render(), content_type=CONTENT_TYPE)

    def openapi(self) -> Response:
        """Every route of this app as OpenAPI 3.1."""
        return answer(self._openapi)


def feedback_routes(webhook: Webhook | None, job_status: JobStatus | None, guard: Guard, limits: Limits) -> Blueprint:
    """What Label Studio tells us, behind the webhook secret or the login."""
    routes = Blueprint("feedback", __name__)
    routes.before_request(lambda: guard.webhook(request))
    take = webhook or _nobody_listens

    @routes.post("/webhook")
    def hook() -> Response:
        """Events, and the training button: stored before the answer, acted upon later by the worker."""
        return answer(take(_object(limits)))

    @routes.post("/train")
    def train() -> Response:
        """The training request of Label Studio before 1.4.1, answered like the button of today."""
        project = read_project_id(_object(limits).get("project"))
        return answer(take({"action": "START_TRAINING", "project": {"id": project}}), 201)

    @routes.post("/job_status")
    def job() -> Response:
        """How a training stands; 410 tells Label Studio to forget the job."""
        name = _object(limits).get("job")
        if not isinstance(name, str) or not name:
            raise BodyError("job is missing or no text.", hint="Wanted the 'job' that /webhook answered.")
        state = job_status(name) if job_status else None
        if state not in _JOB_STATES:
            return answer({"error": "no such job.", "hint": "It ended long ago or never was."}, 410)
        return answer({"job_status": state})

    return routes


def _object(limits: Limits) -> Mapping[str, Any]:
    body = read_json(request.environ, limits)
    if not isinstance(body, dict):
        hint = "Label Studio sends {'project': ...}."
        raise BodyError(f"the body is {json_type(body)}; wanted an object.", hint=hint)
    return body


def _text(body: Mapping[str, Any], key: str) -> str:
    text = body.get(key)
    if not isinstance(text, str):
        raise BodyError(f"{key} is missing or no text.", hint="Wanted the project's label config as XML.")
    return text


def _nobody_listens(_body: Any) -> Mapping[str, Any]:
    return {"status": "ignored", "reason": "this process serves predictions only"}
