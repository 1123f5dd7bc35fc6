"""The OpenAPI description of the pages: each is JSON for programs and HTML for browsers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ml_backend.app.openapi import LOGIN, NO_LOGIN, Paths, describe_error, describe_route, parameter

_Schema = dict[str, Any]

_TEXT = {"type": "string"}
_PROJECT, _KIND, _FILE = (parameter(name, place="path") for name in ("project", "kind", "filename"))
_NUMBER = parameter("number", place="path", type="integer", minimum=0)
_NAMES = parameter("names")
_CASE_FILTERS = [parameter(name) for name in ("state", "tier", "late", "clocked")]
_CASE_FILTERS += [parameter(name, type="integer") for name in ("person", "page")]
_REFUSALS = {
    "400": "A form that cannot be read.",
    "401": "Nobody is signed in.",
    "403": "The visitor has no permission, or the form is not from a page of ours.",
    "404": "Not found, or no access.",
    "413": "The form is too large.",
    "415": "The body is not a form.",
    "429": "Too many wrong credentials from this address.",
    "503": "Label Studio or the database is not available.",
}


def paths() -> Paths:
    """Return the OpenAPI paths of all pages."""
    project = "/projects/{project}"
    actions = {"pause": "Stop all writes.", "resume": "Allow writes again.", "turn": "Request a turn now."}
    return {
        "/": {"get": _page("All projects; without credentials only that the service is up.", NO_LOGIN)},
        "/sign-in": {
            "get": _page("The sign-in form.", NO_LOGIN, [parameter("next")]),
            "post": _form("Sign in with a Label Studio account.", "token", "email", "password", "next"),
        },
        "/sign-out": {"post": _form("End the session.")},
        project: {"get": _page("One project: model, evidence, queue.", LOGIN, [_PROJECT])},
        f"{project}/people": {"get": _page("Figures of each person.", LOGIN, [_PROJECT, _NAMES])},
        f"{project}/cases": {"get": _page("Review cases, the most urgent first.", LOGIN, [_PROJECT, *_CASE_FILTERS])},
        f"{project}/cases/{{number}}": {"get": _page("One review case.", LOGIN, [_PROJECT, _NUMBER, _NAMES])},
        f"{project}/overrides": {"get": _page("Where people changed the model's answers.", LOGIN, [_PROJECT])},
        f"{project}/thresholds": {
            "get": _page("Automation, error and cost of each confidence threshold.", LOGIN, [_PROJECT])
        },
        **{
            f"{project}/{name}": {"post": _form(summary, parameters=[_PROJECT])}
            for name, summary in sorted(actions.items())
        },
        f"{project}/unpark/{{kind}}": {"post": _form("Retry a parked job.", parameters=[_PROJECT, _KIND])},
        "/pages/{filename}": {"get": _file()},
    }


def _page(summary: str, who: list[_Schema], parameters: Sequence[_Schema] = ()) -> _Schema:
    return describe_route(summary, _responses(), who, parameters=parameters)


def _form(summary: str, *fields: str, parameters: Sequence[_Schema] = ()) -> _Schema:
    """Describe a form of our pages; only our page knows `key`, so that no other site can send the form."""
    body = {"type": "object", "properties": dict.fromkeys(("key", *fields), _TEXT), "required": ["key"]}
    form = "application/x-www-form-urlencoded"
    return describe_route(summary, _responses(), LOGIN, parameters=parameters, body=body, body_type=form)


def _responses() -> _Schema:
    content = {"application/json": {"schema": {"type": "object"}}, "text/html": {"schema": _TEXT}}
    redirect = {"description": "Redirect to another page.", "content": {"text/html": {"schema": _TEXT}}}
    refusals = {status: describe_error(text) for status, text in _REFUSALS.items()}
    for response in refusals.values():
        response["content"]["text/html"] = {"schema": _TEXT}
    return {"200": {"description": "Done.", "content": content}, "303": redirect, **refusals}


def _file() -> _Schema:
    content = {name: {"schema": _TEXT} for name in ("text/css", "image/svg+xml")}
    responses = {"200": {"description": "Done.", "content": content}, "404": describe_error("There is no such file.")}
    return describe_route("Style and icon of the pages.", responses, NO_LOGIN, parameters=[_FILE])
