"""Limits of a request, and its body read as JSON within them."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson

from ml_backend.app.request_source import mime_type
from ml_backend.errors import BodyError, TooLarge, WrongContentType
from ml_backend.number_format import format_count

_JSON = re.compile(r"application/([a-z0-9.-]+\+)?json")
_ENDS = "wsgi.input_terminated"  # set by servers whose input ends where the body does
_DEPTH = 254  # levels that orjson can write; it reads 1,024, but data must be written again to be hashed or stored
_TOO_DEEP = "depth limit"  # the start of orjson's message for more than 1,024 levels
_DRAIN_S = 10.0  # how long a refused body is read to its end, so that the sender receives the answer
_DRAIN_STALL_S = 0.5  # and how long the sender may pause: it is not authenticated, and uses a thread
_DRAIN_BYTES = 1 << 10  # gunicorn waits until a block is full; small blocks allow frequent looks at the clock


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one request; high, because Label Studio sends all selected tasks in one body.

    werkzeug has a limit of bytes, but none of JSON values or pauses, and it truncates long bodies silently.
    """

    body_bytes: int = 256 << 20
    tasks: int = 1_000_000
    values: int = 20_000_000  # JSON values; each takes at least 50 bytes in memory, however short it is
    stall_s: float = 30.0  # how long a sender may pause within a body


def read_json(environ: Mapping[str, Any], limits: Limits) -> Any:
    """Return the JSON body of a request, given its WSGI environment.

    WrongContentType for a type that is not JSON: a page of another site may send texts and forms with the credentials
    that a browser keeps. BodyError for a body that is empty, not UTF-8 or not JSON; TooLarge beyond a limit or 254
    levels of nesting.
    """
    content_type = mime_type(environ)
    if content_type and not _JSON.fullmatch(content_type):
        hint = "Send Content-Type: application/json."
        raise WrongContentType(f"the body is {content_type[:60]!r}; wanted application/json.", hint=hint)
    body = read_body(environ, limits)
    if not body:
        raise BodyError("the body is empty; wanted JSON.", hint="Send a JSON object.")
    # a body has at most as many values as commas and brackets, and counting these is faster than parsing
    if len(body) > limits.values:
        values = body.count(b",") + body.count(b"[") + body.count(b"{")
        if values > limits.values:
            wanted = f"the body holds more than {format_count(limits.values)} JSON values."
            raise TooLarge(wanted, limit="values", hint="Send fewer tasks at once.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if error.msg.startswith(_TOO_DEEP):
            raise _too_deep() from error
        if (value := _read_odd_json(body)) is not None:
            return value
        raise BodyError(f"the body is not JSON: {error.msg[:120]}.", hint="Wanted JSON in UTF-8.") from error
    del body  # frees up to 256 MiB
    try:
        orjson.dumps(value)  # faster than a walk in Python
    except orjson.JSONEncodeError as error:
        raise _too_deep() from error
    return value


def _read_odd_json(body: bytes) -> Any:
    """Return what Python's json reads and orjson does not: half a character, NaN; None where it is no JSON either.

    Label Studio is written in Python: one such value in one task must not cost the others of its request. Half a
    character becomes "?", and a number that is none becomes null.
    """
    try:
        value = json.loads(body.decode(), parse_constant=_finite, parse_float=_finite)
        value = orjson.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
        orjson.dumps(value)  # or it is nested too deep
    except (ValueError, TypeError, RecursionError):
        return None
    return value


def _finite(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def drain(environ: Mapping[str, Any], limits: Limits) -> None:
    """Read a refused body to its end: a sender that is cut off sees a broken pipe and not the answer."""
    if not environ.get(_ENDS):
        return  # reading could block for ever
    deadline, left = time.monotonic() + _DRAIN_S, 4 * limits.body_bytes
    with suppress(Exception):  # the sender is gone or sends invalid data; no answer is possible
        _limit_pauses(environ, _DRAIN_STALL_S)
        while left > 0 and time.monotonic() < deadline:
            block = environ["wsgi.input"].read(_DRAIN_BYTES)
            if not block:
                return
            left -= len(block)


def read_body(environ: Mapping[str, Any], limits: Limits) -> bytes:
    """Return the raw body of a request; BodyError where it is incomplete, TooLarge beyond the limit."""
    announced = environ.get("CONTENT_LENGTH") or ""
    if announced and not (announced.isascii() and announced.isdigit()):
        raise BodyError("Content-Length is not a number.")
    chunked = not announced and bool(environ.get(_ENDS))  # has no announced length
    wanted = limits.body_bytes + 1 if chunked else int(announced[:20] or 0)
    if wanted > limits.body_bytes and not chunked:
        raise _too_many_bytes(limits)
    try:
        _limit_pauses(environ, limits.stall_s)
        # the server's own stream: werkzeug's doubles the time of a small body, and truncates long ones silently
        body: bytes = environ["wsgi.input"].read(wanted)
    except Exception as error:  # servers raise their own errors for an incomplete or wrong body
        raise BodyError("the body is incomplete, wrongly chunked, or its sender paused too long.") from error
    if len(body) > limits.body_bytes:
        raise _too_many_bytes(limits)
    if len(body) < wanted and not chunked:
        raise BodyError("the body ended before its announced length.")
    return body


def _limit_pauses(environ: Mapping[str, Any], seconds: float) -> None:
    """Limit each wait for the sender, where the server passes the connection; SlowClientSocket limits their sum."""
    connection = environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(seconds)


def _too_many_bytes(limits: Limits) -> TooLarge:
    wanted = f"the body is larger than {format_count(limits.body_bytes)} bytes."
    return TooLarge(wanted, limit="bytes", hint="Select fewer tasks at once.")


def _too_deep() -> TooLarge:
    return TooLarge(f"the body is nested deeper than {_DEPTH} levels.", limit="depth", hint="Send flatter JSON.")
