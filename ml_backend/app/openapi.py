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
    """Return the OpenAPI 3.1 document of the protocol's routes and of `more` routes.

    >>> sorted(make_document()["paths"])[:3]
    ['/', '/delete', '/duplicate_model']
    """
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
    job = _object(job_status={"enum": ["queued", "started", "finished", "failed"]})
    up = describe_get("Whether the backend is up.", status, NO_LOGIN)
    return {
        "/": {"get": up},
        "/health": {"get": up},
        "/setup": {"post": describe_post("The version that predictions will carry.", setup, version, LOGIN)},
        "/predict": {"post": describe_post("One result per task, in order.", predict, predictions, LOGIN)},
        "/versions": {
            "get": describe_get("Versions that serve now.", versions, LOGIN, [parameter("project")]),
            "post": describe_post("Versions of one project.", project, versions, LOGIN),
        },
        "/validate": {
            "post": describe_post("Whether a label config can be read.", _object(config=_CONFIG), status, LOGIN)
        },
        "/delete": {"post": describe_post("Label Studio disconnects.", project, status, LOGIN)},
        "/duplicate_model": {"post": describe_post("A project was copied.", copy, status, LOGIN)},
        "/webhook": {"post": describe_post("An event, or the training button.", event, status, SECRET)},
        "/train": {"post": describe_post("The old training button.", project, status, SECRET, code="201")},
        "/job_status": {"post": describe_post("The state of a training job.", _object(job=text), job, SECRET)},
        "/metrics": {"get": describe_get("Prometheus text.", None, LOGIN)},
        "/openapi.json": {"get": describe_get("This document.", {"type": "object"}, LOGIN)},
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


def describe_get(
    summary: str, schema: _Schema | None, security: list[_Schema], parameters: Sequence[_Schema] = ()
) -> _Schema:
    """Return the description of a GET route; without a schema it answers plain text."""
    return describe_route(summary, _responses(schema, "200"), security, parameters=parameters)


def describe_post(
    summary: str, body: _Schema, schema: _Schema, security: list[_Schema], *, code: str = "200"
) -> _Schema:
    """Return the description of a POST route with JSON body and response."""
    responses = _responses(schema, code)
    if "job_status" in schema["properties"]:
        responses["410"] = describe_error("No such job.")
    return describe_route(summary, responses, security, body=body)


def _responses(schema: _Schema | None, code: str) -> _Schema:
    content = {"application/json": {"schema": schema}} if schema else {"text/plain": {"schema": {"type": "string"}}}
    errors = {status: describe_error(text) for status, text in _ERRORS.items()}
    return {code: {"description": "Done.", "content": content}, **errors}


def describe_error(text: str) -> _Schema:
    """Return the description of an error response."""
    return {"description": text, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
