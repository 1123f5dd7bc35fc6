"""The protocol as an OpenAPI document, for people and for fuzzers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_Schema = dict[str, Any]
Paths = Mapping[str, Any]  # path -> method -> what OpenAPI says of it

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
NOBODY: list[_Schema] = [{}]  # no credentials asked; in the others the empty one stands for a backend without login
LOGIN: list[_Schema] = [{"login": []}, {}]
SECRET: list[_Schema] = [{"secret": []}, {"login": []}, {}]
_REFUSALS = {
    "400": "Not JSON, a missing key, a wrong type, a project id that is none, or an unreadable label config.",
    "401": "Wrong or missing credentials.",
    "413": "Beyond a limit in bytes, depth, values or tasks.",
    "429": "Too many wrong credentials from this address.",
    "503": "Something that we need is away; nothing was taken in.",
}


def document(*more: Paths) -> _Schema:
    """The OpenAPI 3.1 document of every route; `more` are those of what is mounted beside the protocol.

    >>> sorted(document()["paths"])[:3]
    ['/', '/delete', '/duplicate_model']
    """
    paths = _own_paths()
    for one in more:
        paths |= one
    return {
        "openapi": "3.1.0",
        "info": {"title": "label-studio-hitl", "version": "1", "description": "Label Studio's ML backend protocol."},
        "paths": paths,
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {
                "login": {"type": "http", "scheme": "basic"},
                "secret": {"type": "apiKey", "in": "header", "name": "X-Hitl-Secret"},
            },
        },
    }


def _own_paths() -> _Schema:
    status = _object({"status": {"type": "string"}}, "status")
    return {
        "/": {"get": get("Whether the backend is up.", status, NOBODY)},
        "/health": {"get": get("Whether the backend is up.", status, NOBODY)},
        "/setup": {"post": post("The version that predictions will carry.", _setup(), _version(), LOGIN)},
        "/predict": {"post": post("One result per task, in order.", _predict(), _predictions(), LOGIN)},
        "/versions": {
            "get": get("Versions that serve now.", _versions(), LOGIN, [in_query("project")]),
            "post": post("Versions of one project.", _object({"project": PROJECT}, "project"), _versions(), LOGIN),
        },
        "/validate": {"post": post("Whether a label config can be read.", _one("config", _CONFIG), status, LOGIN)},
        "/delete": {"post": post("Label Studio lets go.", _one("project", PROJECT), status, LOGIN)},
        "/duplicate_model": {"post": post("A project was copied.", _copy(), status, LOGIN)},
        "/webhook": {"post": post("An event, or the training button.", _event(), status, SECRET)},
        "/train": {"post": post("The old training button.", _one("project", PROJECT), status, SECRET, code="201")},
        "/job_status": {"post": post("How a training stands.", _one("job", {"type": "string"}), _job(), SECRET)},
        "/metrics": {"get": get("Prometheus text.", None, LOGIN)},
        "/openapi.json": {"get": get("This document.", {"type": "object"}, LOGIN)},
    }


def _object(properties: _Schema, *required: str) -> _Schema:
    return {"type": "object", "properties": properties, "required": list(required)}


def _one(key: str, schema: _Schema) -> _Schema:
    return _object({key: schema}, key)


def _setup() -> _Schema:
    return _object({"project": PROJECT, "schema": _CONFIG, "extra_params": {}}, "project", "schema")


def _version() -> _Schema:
    return _one("model_version", _VERSION)


def _versions() -> _Schema:
    return _one("versions", {"type": "array", "items": {"type": "string"}})


def _predict() -> _Schema:
    tasks = {"type": "array", "items": _TASK}
    return _object(
        {"project": PROJECT, "label_config": _CONFIG, "tasks": tasks, "params": {}}, "project", "label_config", "tasks"
    )


def _predictions() -> _Schema:
    return _object(
        {"results": {"type": "array", "items": _RESULT}, "model_version": _VERSION}, "results", "model_version"
    )


def _copy() -> _Schema:
    return _object({"project_src": PROJECT, "project_dst": PROJECT}, "project_src", "project_dst")


def _event() -> _Schema:
    return _object(
        {"action": {"type": "string", "minLength": 1}, "project": {}, "annotation": {}, "task": {}}, "action"
    )


def _job() -> _Schema:
    return _one("job_status", {"enum": ["queued", "started", "finished", "failed"]})


def in_query(name: str) -> _Schema:
    """A word after the question mark, which may be left out."""
    return {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}


def get(summary: str, schema: _Schema | None, who: list[_Schema], parameters: Sequence[_Schema] = ()) -> _Schema:
    """A route that is read: JSON of a schema, or plain text without one."""
    return {
        "summary": summary,
        "security": who,
        "parameters": list(parameters),
        "responses": _responses(schema, "200"),
    }


def post(summary: str, body: _Schema, schema: _Schema, who: list[_Schema], *, code: str = "200") -> _Schema:
    """A route that takes JSON and answers JSON."""
    content = {"application/json": {"schema": body}}
    responses = _responses(schema, code)
    if "job_status" in schema["properties"]:
        responses["410"] = refusal("No such job.")
    return {
        "summary": summary,
        "security": who,
        "requestBody": {"required": True, "content": content},
        "responses": responses,
    }


def _responses(schema: _Schema | None, code: str) -> _Schema:
    content = {"application/json": {"schema": schema}} if schema else {"text/plain": {"schema": {"type": "string"}}}
    refusals = {status: refusal(text) for status, text in _REFUSALS.items()}
    return {code: {"description": "Done.", "content": content}, **refusals}


def refusal(text: str) -> _Schema:
    """An answer that says why not."""
    return {"description": text, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
