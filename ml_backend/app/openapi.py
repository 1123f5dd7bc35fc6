"""The OpenAPI document of all routes, served at /openapi.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ml_backend.labelstudio.parsing import SECRET_HEADER

_Schema = dict[str, Any]
Paths = Mapping[str, Any]  # path -> method -> OpenAPI description

PROJECT: _Schema = {
    "description": "Label Studio's project id, with or without its creation time.",
    "oneOf": [
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": r"^[0-9A-Za-z][0-9A-Za-z_-]{0,63}(\.[0-9]{1,20})?$"},
    ],
}
_CONFIG: _Schema = {"type": "string", "description": "A label config: XML that Label Studio accepts.", "minLength": 1}
_VERSION: _Schema = {"type": "string", "description": "M: changes exactly when the serving model changes."}
_TASK: _Schema = {"description": "A task as Label Studio sends it; one that is broken gets an empty result."}
_RESULT: _Schema = {
    "type": "object",
    "required": ["result", "score", "model_version"],
    "properties": {
        "result": {"type": "array", "items": {"type": "object"}},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
        "model_version": _VERSION,
    },
}
_ERROR: _Schema = {
    "type": "object",
    "required": ["error", "hint"],
    "properties": {"error": {"type": "string"}, "hint": {"type": "string"}},
}
NO_LOGIN: list[_Schema] = [{}]  # no credentials; in the others, {} means a backend without login
LOGIN: list[_Schema] = [{"login": []}, {}]
SECRET: list[_Schema] = [{"secret": []}, {"login": []}, {}]
_ERRORS = {
    "400": "Not JSON, a missing key, a wrong type, a wrong project id, or an unreadable label config.",
    "401": "Wrong or missing credentials.",
    "413": "Beyond a limit of bytes, depth, values or tasks.",
    "429": "Too many wrong credentials from this address.",
    "503": "The store cannot be reached; nothing was stored.",
}


def make_document(*more: Paths) -> _Schema:
    """Return the OpenAPI 3.1 document of the protocol's routes and of `more` routes."""
    paths = _protocol_paths()
    for added in more:
        paths |= added
    return {
        "openapi": "3.1.0",
        "info": {"title": "label-studio-hitl", "version": "1", "description": "Label Studio's ML backend protocol."},
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {
                "login": {"type": "http", "scheme": "basic"},
                "secret": {"type": "apiKey", "in": "header", "name": SECRET_HEADER},
            },
        },
    }


def _protocol_paths() -> _Schema:
    text: _Schema = {"type": "string"}
    status, project = _object(status=text), _object(project=PROJECT)
    version, versions = _object(model_version=_VERSION), _object(versions={"type": "array", "items": text})
    setup = _object("extra_params", project=PROJECT, schema=_CONFIG)
    predict = _object("params", project=PROJECT, label_config=_CONFIG, tasks={"type": "array", "items": _TASK})
    predictions = _object(results={"type": "array", "items": _RESULT}, model_version=_VERSION)
    copy = _object(project_src=PROJECT, project_dst=PROJECT)
    event = _object("project", "annotation", "task", action={"type": "string", "minLength": 1})
    state = _object(job_status={"enum": ["queued", "started", "finished", "failed"]})
    describe = describe_json_route
    up = {"get": describe("Whether the backend is up.", status, NO_LOGIN)}
    health = {"get": describe("Whether it is up; with the login also whether it is ready.", status, NO_LOGIN)}
    list_all = describe("Versions that serve now.", versions, LOGIN, parameters=[parameter("project")])
    job = describe("The state of a training job.", state, SECRET, body=_object(job=text))
    job["responses"]["410"] = describe_error("No such job.")
    return {
        "/": up,
        "/health": health,
        "/setup": {"post": describe("The version that predictions will carry.", version, LOGIN, body=setup)},
        "/predict": {"post": describe("One result per task, in order.", predictions, LOGIN, body=predict)},
        "/versions": {"get": list_all, "post": describe("Versions of one project.", versions, LOGIN, body=project)},
        "/validate": {"post": describe("Whether a config can be read.", status, LOGIN, body=_object(config=_CONFIG))},
        "/delete": {"post": describe("Label Studio disconnects.", status, LOGIN, body=project)},
        "/duplicate_model": {"post": describe("A project was copied.", status, LOGIN, body=copy)},
        "/webhook": {"post": describe("An event, or the training button.", status, SECRET, body=event)},
        "/train": {"post": describe("The old training button.", status, SECRET, body=project, code="201")},
        "/job_status": {"post": job},
        "/metrics": {"get": describe("Prometheus text.", None, LOGIN)},
        "/openapi.json": {"get": describe("This document.", {"type": "object"}, LOGIN)},
    }


def _object(*optional: str, **required: _Schema) -> _Schema:
    properties = {**required, **{name: {} for name in optional}}
    return {"type": "object", "properties": properties, "required": list(required)}


def parameter(name: str, *, place: str = "query", **schema: Any) -> _Schema:
    """Return the description of an optional query parameter, or of a part of the path (`place="path"`)."""
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": "string", **schema}}


def describe_route(
    summary: str,
    responses: _Schema,
    security: list[_Schema],
    *,
    parameters: Sequence[_Schema] = (),
    body: _Schema | None = None,
    body_type: str = "application/json",
) -> _Schema:
    """Return the description of a route; `body` is the schema of what it reads."""
    described = {"summary": summary, "security": security, "parameters": list(parameters), "responses": responses}
    if body is not None:
        described["requestBody"] = {"required": True, "content": {body_type: {"schema": body}}}
    return described


def describe_json_route(
    summary: str,
    response: _Schema | None,
    security: list[_Schema],
    *,
    body: _Schema | None = None,
    parameters: Sequence[_Schema] = (),
    code: str = "200",
) -> _Schema:
    """Return the description of a route that answers with JSON, or without a schema with plain text."""
    content = {"application/json": {"schema": response}} if response else {"text/plain": {"schema": {"type": "string"}}}
    responses = {code: {"description": "Done.", "content": content}}
    responses |= {status: describe_error(text) for status, text in _ERRORS.items()}
    return describe_route(summary, responses, security, parameters=parameters, body=body)


def describe_error(text: str) -> _Schema:
    """Return the description of an error response."""
    return {"description": text, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
