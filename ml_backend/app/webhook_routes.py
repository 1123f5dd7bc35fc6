"""The routes by which Label Studio reports events and asks for training: /webhook, /train, /job_status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, request

from ml_backend.app.limits import Limits
from ml_backend.app.routes import json_response, read_object
from ml_backend.app.security import Guard
from ml_backend.errors import BodyError
from ml_backend.labelstudio.parsing import read_project_id

Webhook = Callable[[Any], Mapping[str, Any]]  # from a parsed body to JSON
JobStatus = Callable[[str], str | None]  # from a job id to "queued", "started", ...; None where there is no such job

_JOB_STATES = ("queued", "started", "finished", "failed")


def webhook_routes(webhook: Webhook | None, job_status: JobStatus | None, guard: Guard, limits: Limits) -> Blueprint:
    """Return the routes for events and training, which need the webhook secret or the login."""
    routes = Blueprint("feedback", __name__)
    routes.before_request(lambda: guard.check_webhook_request(request))
    handle = webhook or (lambda _body: {"status": "ignored", "reason": "this process serves predictions only"})

    @routes.post("/webhook")
    def hook() -> Response:
        """Store an event, or the training button; the worker processes it later."""
        return json_response(handle(read_object(limits)))

    @routes.post("/train")
    def train() -> Response:
        """Handle the training request of Label Studio before 1.4.1 like the training button."""
        project = read_project_id(read_object(limits).get("project"))
        return json_response(handle({"action": "START_TRAINING", "project": {"id": project}}), 201)

    @routes.post("/job_status")
    def job() -> Response:
        """Return the state of a training job; 410 makes Label Studio drop the job."""
        name = read_object(limits).get("job")
        if not isinstance(name, str) or not name:
            raise BodyError("job is missing or not a text.", hint="Wanted the 'job' that /webhook returned.")
        state = job_status(name) if job_status else None
        if state not in _JOB_STATES:
            return json_response({"error": "no such job.", "hint": "It ended long ago or never existed."}, 410)
        return json_response({"job_status": state})

    return routes
