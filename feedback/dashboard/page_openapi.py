"""What /openapi.json says of the pages: each is JSON for programs and HTML for browsers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ml_backend.app.openapi import LOGIN, NOBODY, Paths, in_query, refusal

_Schema = dict[str, Any]

_OBJECT = {"type": "object"}
_TEXT = {"type": "string"}
_PROJECT = {"name": "project", "in": "path", "required": True, "schema": {"type": "string"}}
_NUMBER = {"name": "number", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}}
_KIND = {"name": "kind", "in": "path", "required": True, "schema": {"type": "string"}}
_FILE = {"name": "filename", "in": "path", "required": True, "schema": {"type": "string"}}
_NAMES = in_query("names")
_REFUSALS = {
    "400": "A form that cannot be read.",
    "401": "Nobody is signed in.",
    "403": "Not for this visitor, or the form is not from a page of ours.",
    "404": "There is no such thing for this visitor.",
    "413": "The form is too large.",
    "415": "The body is no form.",
    "429": "Too many wrong credentials from this address.",
    "503": "Something that we need is away.",
}


def paths() -> Paths:
    """Every route of the pages.

    >>> sorted(paths())[:2]
    ['/', '/pages/{filename}']
    """
    project = "/projects/{project}"
    actions = {"pause": "Stop every write.", "resume": "Go on writing.", "turn": "Ask for a turn now."}
    return {
        "/": {"get": _page("All projects; that we are up, to whoever is nobody.", NOBODY)},
        "/sign-in": {
            "get": _page("The form to sign in with.", NOBODY, [in_query("next")]),
            "post": _form("Sign in with Label Studio's account.", "token", "email", "password", "next"),
        },
        "/sign-out": {"post": _form("Forget the session.")},
        project: {"get": _page("One project: model, evidence, queue.", LOGIN, [_PROJECT])},
        f"{project}/people": {"get": _page("How people do.", LOGIN, [_PROJECT, _NAMES])},
        f"{project}/cases": {"get": _page("What waits for review.", LOGIN, [_PROJECT])},
        f"{project}/cases/{{number}}": {"get": _page("One case.", LOGIN, [_PROJECT, _NUMBER, _NAMES])},
        f"{project}/overrides": {"get": _page("Where people changed the model's answers.", LOGIN, [_PROJECT])},
        f"{project}/thresholds": {
            "get": _page("What each confidence would automate, err and cost.", LOGIN, [_PROJECT])
        },
        **{
            f"{project}/{name}": {"post": _form(summary, parameters=[_PROJECT])}
            for name, summary in sorted(actions.items())
        },
        f"{project}/unpark/{{kind}}": {"post": _form("Give parked work another try.", parameters=[_PROJECT, _KIND])},
        "/pages/{filename}": {"get": _file()},
    }


def _page(summary: str, who: list[_Schema], parameters: Sequence[_Schema] = ()) -> _Schema:
    return {"summary": summary, "security": who, "parameters": list(parameters), "responses": _answers()}


def _form(summary: str, *fields: str, parameters: Sequence[_Schema] = ()) -> _Schema:
    """A form of a page of ours: only the page knows `key`, so that no other site can send it."""
    body = {"type": "object", "properties": dict.fromkeys(("key", *fields), _TEXT), "required": ["key"]}
    return {
        "summary": summary,
        "security": LOGIN,
        "parameters": list(parameters),
        "requestBody": {"required": True, "content": {"application/x-www-form-urlencoded": {"schema": body}}},
        "responses": _answers(),
    }


def _answers() -> _Schema:
    shown = {"application/json": {"schema": _OBJECT}, "text/html": {"schema": _TEXT}}
    onward = {"description": "Go on to another page.", "content": {"text/html": {"schema": _TEXT}}}
    refusals = {status: refusal(text) for status, text in _REFUSALS.items()}
    for one in refusals.values():
        one["content"]["text/html"] = {"schema": _TEXT}
    return {"200": {"description": "Done.", "content": shown}, "303": onward, **refusals}


def _file() -> _Schema:
    content = {name: {"schema": _TEXT} for name in ("text/css", "image/svg+xml")}
    return {
        "summary": "Style and icon of the pages.",
        "security": NOBODY,
        "parameters": [_FILE],
        "responses": {"200": {"description": "Done.", "content": content}, "404": refusal("There is no such file.")},
    }
