"""How much a request may hold, and its body read as JSON within those limits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from ml_backend.errors import BodyError, TooLarge

_ENDS = "wsgi.input_terminated"  # set by servers whose input ends where the body does
_DEPTH = 254  # levels that orjson writes; it reads 1,024, but what cannot be written again cannot be hashed or stored
_TOO_DEEP = "depth limit"  # how orjson begins its refusal of more than 1,024 levels
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


def read_json(environ: Mapping[str, Any], limits: Limits) -> Any:
    """Give the JSON body of a request (its WSGI environment), whatever content type it claims.

    BodyError for what is empty, not UTF-8 or not JSON; TooLarge beyond a limit, or nested deeper than 254 levels.
    """
    body = read_body(environ, limits)
    if not body:
        raise BodyError("the body is empty; wanted JSON.", hint="Send a JSON object.")
    # no body holds more values than it has commas and brackets: counting them is faster than parsing
    if len(body) > limits.values:
        values = body.count(b",") + body.count(b"[") + body.count(b"{")
        if values > limits.values:
            wanted = f"the body holds more than {limits.values:,} JSON values."
            raise TooLarge(wanted, limit="values", hint="Send fewer tasks at once.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if error.msg.startswith(_TOO_DEEP):
            raise _too_deep() from error
        raise BodyError(f"the body is not JSON: {error.msg[:120]}.", hint="Wanted JSON in UTF-8.") from error
    del body  # up to 256 MiB that need not be there twice
    try:
        orjson.dumps(value)  # faster than any walk of ours
    except orjson.JSONEncodeError as error:
        raise _too_deep() from error
    return value


def drain(environ: Mapping[str, Any], limits: Limits) -> None:
    """Read on and forget, after a refusal: a sender that is cut off in the middle sees a broken pipe, no reason."""
    if not environ.get(_ENDS):
        return  # reading on could wait for ever
    deadline, left = time.monotonic() + _DRAIN_S, 4 * limits.body_bytes
    source = environ["wsgi.input"]
    try:
        _patience(environ, _DRAIN_STALL_S)
        while left > 0 and time.monotonic() < deadline:
            block = source.read(_DRAIN_BYTES)
            if not block:
                return
            left -= len(block)
    except Exception:  # noqa: BLE001 - the sender has gone, or sends what no server understands: nobody is left to tell
        return


def read_body(environ: Mapping[str, Any], limits: Limits) -> bytes:
    """Give the body of a request as it came; BodyError for one that breaks off, TooLarge beyond the limit."""
    announced = environ.get("CONTENT_LENGTH") or ""
    if announced and not (announced.isascii() and announced.isdigit()):
        raise BodyError("Content-Length is no number.")
    chunked = not announced and bool(environ.get(_ENDS))  # says its size only by ending
    wanted = limits.body_bytes + 1 if chunked else int(announced[:20] or 0)
    if wanted > limits.body_bytes and not chunked:
        raise _too_many_bytes(limits)
    try:
        _patience(environ, limits.stall_s)
        # the server's own stream: werkzeug's costs as much as all the rest of a small body, and cuts long ones silently
        body: bytes = environ["wsgi.input"].read(wanted)
    except Exception as error:  # servers raise errors of their own for a body that breaks off or lies
        raise BodyError("the body is broken off, wrongly chunked, or paused too long.") from error
    if len(body) > limits.body_bytes:
        raise _too_many_bytes(limits)
    if len(body) < wanted and not chunked:
        raise BodyError("the body ended before its announced length.")
    return body


def _patience(environ: Mapping[str, Any], seconds: float) -> None:
    """Bound each wait for the sender, where the server shows us the connection; gunicorn itself waits for ever.

    SlowClientSocket bounds all of them together, too.
    """
    connection = environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(seconds)


def _too_many_bytes(limits: Limits) -> TooLarge:
    wanted = f"the body is larger than {limits.body_bytes:,} bytes."
    return TooLarge(wanted, limit="bytes", hint="Select fewer tasks at once.")


def _too_deep() -> TooLarge:
    return TooLarge(f"the body is nested deeper than {_DEPTH} levels.", limit="depth", hint="Send flatter JSON.")
