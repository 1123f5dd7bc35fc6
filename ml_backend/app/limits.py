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
_DRAIN_STALL_S = 0.5  # and how long it may pause meanwhile: it may be anybody, and holds a thread
_DRAIN_BYTES = 1 << 10  # gunicorn waits until a block is full; the smaller, the sooner we look at the clock


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
    del body  # up to 256 MiB that need not be there twice
    try:
        orjson.dumps(value)  # faster than any walk of ours
    except orjson.JSONEncodeError as error:
        raise BodyError(f"the body is nested deeper than {_DEPTH} levels.") from error
    return value


def drain(request: Request, limits: Limits) -> None:
    """Read on and forget, after a refusal: a sender that is cut off in the middle sees a broken pipe, no reason."""
    if not request.environ.get("wsgi.input_terminated"):
        return  # this server does not mark the end of the body; reading on could wait for ever
    deadline, left = time.monotonic() + _DRAIN_S, 4 * limits.body_bytes
    source = request.environ["wsgi.input"]
    try:
        _patience(request, _DRAIN_STALL_S)
        while left > 0 and time.monotonic() < deadline:
            block = source.read(_DRAIN_BYTES)
            if not block:
                return
            left -= len(block)
    except Exception:  # noqa: BLE001 - the sender has gone, or sends what no server understands: nobody is left to tell
        return


def _read(request: Request, limits: Limits) -> bytes:
    if (request.content_length or 0) > limits.body_bytes:
        raise _too_many_bytes(limits)
    try:
        _patience(request, limits.stall_s)
        body = request.get_data(cache=False)
        # a chunked body says its size only by ending; werkzeug cuts it at the limit and may keep silent about that
        more = len(body) >= limits.body_bytes and request.content_length is None and _has_more(request)
    except RequestEntityTooLarge as error:
        raise _too_many_bytes(limits) from error
    except Exception as error:  # servers raise errors of their own for a body that breaks off or lies
        raise BodyError("the body ended before its announced length, or paused too long.") from error
    if more:
        raise _too_many_bytes(limits)
    return body


def _patience(request: Request, seconds: float) -> None:
    """Bound each wait for the sender, where the server shows us the connection; gunicorn itself waits for ever."""
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(seconds)


def _has_more(request: Request) -> bool:
    return bool(request.environ["wsgi.input"].read(1))


def _too_many_bytes(limits: Limits) -> TooLarge:
    return TooLarge(f"the body is larger than {limits.body_bytes:,} bytes.", hint="Select fewer tasks at once.")
