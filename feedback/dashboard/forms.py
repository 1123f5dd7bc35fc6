"""HTML forms: read what a browser posts, within limits and only from our own pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from flask import Request

from feedback.dashboard.authentication import Authenticator
from feedback.dashboard.rendering import Refused
from ml_backend.app.limits import Limits, read_body
from ml_backend.errors import BodyError, TooLarge

_LIMITS = Limits(body_bytes=16 << 10, stall_s=5.0)
_FIELDS = 20
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")
_FORM = "application/x-www-form-urlencoded"


def read_form(request: Request, authenticator: Authenticator) -> Mapping[str, str]:
    """Return the fields of a form; Refused if it is no form, too large, or not from a page of ours."""
    if request.mimetype != _FORM:
        raise Refused(415, "this is not a form.", hint=f"Wanted a body of type {_FORM}.")
    try:
        text = read_body(request.environ, _LIMITS).decode()
        fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_FIELDS, errors="strict"))
    except TooLarge as error:
        raise Refused(413, "the form is too large.") from error
    except (BodyError, ValueError) as error:
        raise Refused(400, "the form cannot be read.") from error
    if not authenticator.is_own_form(request, fields.get("key", "")):
        raise Refused(
            403, "this form is not from a page of ours, or it is too old.", hint="Open the page again and retry."
        )
    return fields


def is_valid_name(name: str) -> bool:
    """Return whether part of a path can be an id of ours; other text may not fit into a database.

    >>> is_valid_name("12"), is_valid_name("a b"), is_valid_name("\\x00")
    (True, False, False)
    """
    return _NAME.fullmatch(name) is not None


def safe_redirect_path(text: str) -> str:
    """Return the text if it is a path of this site, else "/"; prevents redirects to other sites.

    >>> [safe_redirect_path(path) for path in ("/projects/7", "//evil.example", "https://evil.example", "/\\\\evil")]
    ['/projects/7', '/', '/', '/']
    """
    plain = text.isascii() and text.isprintable() and "\\" not in text and len(text) <= 300
    if not plain or not text.startswith("/") or text.startswith("//"):
        return "/"
    parts = urlsplit(text)
    return text if not parts.scheme and not parts.netloc else "/"
