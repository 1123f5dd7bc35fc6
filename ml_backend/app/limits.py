"""How much a request may hold, and its body read as JSON within those limits."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import orjson
from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from ml_backend.errors import BodyError, TooLarge

_DEPTH = 254  # levels that orjson writes; it reads 1,024, but what cannot be written again cannot be hashed or stored
_DRAIN_S = 10.0  # how long we go on reading a body that is refused, so that the sender gets to see why
_DRAIN_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold. Label Studio sends all selected tasks in one body, hence the sizes."""

    body_bytes: int = 256 << 20
    tasks: int = 1_000_000
    values: int = 20_000_000  # JSON values; each costs 50 bytes and more in memory, whatever it takes in the body
    stall_s: float = 30.0  # how long a sender may pause within a body


def read_json(request: Request, limits: Limits) -> Any:
    """Give the JSON body of a request, whatever content type it claims.

    BodyError for what is empty, not UTF-8, not JSON or nested deeper than 254 levels; TooLarge beyond a limit.
    """
    body = _read(request, limits)
    if not body:
        raise BodyError("the body is empty; wanted JSON.")
    # no body holds more values than it has commas and brackets: counting them is faster than parsing
    if len(body) > limits.values:
        values = body.count(b",") + body.count(b"[") + body.count(b"{")
        if values > limits.values:
            raise TooLarge(f"the body holds more than {limits.values:,} JSON values.", hint="Send fewer tasks at once.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BodyError(f"the body is not JSON: {error.msg[:120]}.", hint="Wanted JSON in UTF-8.") from error
    # as many levels need as many brackets: nearly every small body is done here
    if body.count(b"[") + body.count(b"{") > _DEPTH:
        _check_depth(value)
    return value


def drain(request: Request, limits: Limits) -> None:
    """Read on and forget, after a refusal: a sender that is cut off in the middle sees a broken pipe, no reason."""
    if not request.environ.get("wsgi.input_terminated"):
        return  # this server does not mark the end of the body; reading on could wait for ever
    deadline, left = time.monotonic() + _DRAIN_S, 4 * limits.body_bytes
    source = request.environ["wsgi.input"]
    try:
        while left > 0 and time.monotonic() < deadline:
            block = source.read(_DRAIN_BYTES)
            if not block:
                return
            left -= len(block)
    except OSError:
        return  # the sender has gone


def _read(request: Request, limits: Limits) -> bytes:
    if (request.content_length or 0) > limits.body_bytes:
        raise _too_many_bytes(limits)
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(limits.stall_s)
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge as error:  # a chunked body, which says its size only by ending
        raise _too_many_bytes(limits) from error
    except OSError as error:
        raise BodyError("the body ended before its announced length, or paused too long.") from error


def _too_many_bytes(limits: Limits) -> TooLarge:
    return TooLarge(f"the body is larger than {limits.body_bytes:,} bytes.", hint="Select fewer tasks at once.")


def _check_depth(value: Any) -> None:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise BodyError(f"the body is nested deeper than {_DEPTH} levels.") from error
