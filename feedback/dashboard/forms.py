"""Forms: what a browser posts, read within limits and only when it came from our own page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from flask import Request

from feedback.dashboard.authentication import Door
from feedback.dashboard.rendering import Refused
from ml_backend.app.limits import Limits, read_body
from ml_backend.errors import BodyError, TooLarge

_LIMITS = Limits(body_bytes=16 << 10, stall_s=5.0)
_FIELDS = 20
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")
_FORM = "application/x-www-form-urlencoded"


def read_form(request: Request, door: Door) -> Mapping[str, str]:
    """Give the fields of a form of ours; Refused where it is no form, too large, or came from anywhere else."""
    if request.mimetype != _FORM:
        raise Refused(415, "this is not a form.", hint=f"Wanted a body of type {_FORM}.")
    try:
        text = read_body(request.environ, _LIMITS).decode()
        fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS, errors="strict"))
    except TooLarge as error:
        raise Refused(413, "the form is too large.") from error
    except (BodyError, ValueError) as error:
        raise Refused(400, "the form cannot be read.") from error
    if not door.is_ours(request, fields.get("key", "")):
        raise Refused(
            403, "this form is not from a page of ours, or is too old.", hint="Open the page again and try once more."
        )
    return fields


def is_plain(name: str) -> bool:
    """Whether a part of a path can be a name that we gave or took: not all that fits into one fits into a database.

    >>> is_plain("12"), is_plain("a b"), is_plain("\\x00")
    (True, False, False)
    """
    return _NAME.fullmatch(name) is not None


def own_path(text: str) -> str:
    """A path of this site to go on to, "/" for anything that could lead elsewhere.

    >>> own_path("/projects/7"), own_path("//evil.example"), own_path("https://evil.example"), own_path("/\\\\evil")
    ('/projects/7', '/', '/', '/')
    """
    plain = text.isascii() and text.isprintable() and "\\" not in text and len(text) <= 300
    if not plain or not text.startswith("/") or text.startswith("//"):
        return "/"
    parts = urlsplit(text)
    return text if not parts.scheme and not parts.netloc else "/"
