"""Authentication: who a request comes from (session cookie, service login, open access), and forms of our own pages."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from flask import Request, Response

from feedback.dashboard.permissions import Visitor
from feedback.dashboard.rendering import Refused
from feedback.store import SessionRow, Store
from ml_backend.app.limits import Limits, read_body
from ml_backend.app.security import Guard
from ml_backend.errors import BodyError, TooLarge
from ml_backend.labelstudio.accounts import User

_SESSION_S = 12 * 3600.0  # a working day; then people sign in again
_IDLE_S = 2 * 3600.0
_LAST_USE_PRECISION_S = 60.0  # each update of the last use is a durable write
_TOKEN_BYTES = 32
_FORM = "application/x-www-form-urlencoded"
_FORM_LIMITS = Limits(body_bytes=16 << 10, stall_s=5.0)
_MAX_FIELDS = 20
_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Who may use the pages without signing in, and how cookies are set."""

    secure: bool = False  # send cookies over https only
    open: bool = False  # everybody may view without signing in; only on loopback without a password
    public: str = ""  # host:port of our public address, because a proxy may send another Host header


class Authenticator:
    """Identify visitors, sign them in and out, and create form keys.

    A browser holds one random cookie. Before the sign-in it only proves that a form comes back from the browser it was
    sent to. The sign-in replaces it, which prevents session fixation.
    """

    def __init__(
        self, store: Store, guard: Guard, access_settings: AccessSettings, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store, self._guard, self._access, self._clock = store, guard, access_settings, clock
        self.cookie = "__Host-hitl" if access_settings.secure else "hitl"
        secure = access_settings.secure
        self._cookie_options: dict[str, Any] = {"path": "/", "secure": secure, "httponly": True, "samesite": "Lax"}

    def visitor(self, request: Request) -> Visitor | None:
        """Return the user of the request; None if they must sign in first. NotAllowed for a wrong service login."""
        row = self._session(request)
        if row is not None:
            return Visitor("person", row.person, row.email, owner=row.owner)
        if request.headers.get("Authorization") and self._guard.has_login:  # else any would pass
            self._guard.check_ml_request(request)
            return Visitor("program")
        return Visitor("anybody") if self._is_open(request) else None

    def sign_in(self, request: Request, response: Response, who: User, *, owner: bool) -> None:
        """Sign a browser in with a new cookie; its old cookie is no longer valid."""
        fresh, now_s = secrets.token_urlsafe(_TOKEN_BYTES), self._clock()
        row = SessionRow(_digest(fresh), who.id, who.email, owner, now_s, now_s)
        self._store.sessions.create_session(
            row, instead_of=_digest(self._token(request)), ended_before_s=now_s - _SESSION_S
        )
        self.set_cookie(response, fresh)

    def sign_out(self, request: Request, response: Response) -> None:
        """Sign a browser out."""
        self._store.sessions.delete_session(_digest(self._token(request)))
        response.delete_cookie(self.cookie, **self._cookie_options)

    def get_form_key(self, request: Request) -> tuple[str, str]:
        """Return the key that forms of this browser must send, and the cookie to set first ("" if it has one)."""
        token = self._token(request)
        fresh = "" if token else secrets.token_urlsafe(_TOKEN_BYTES)
        return self._key(token or fresh), fresh

    def read_form(self, request: Request) -> Mapping[str, str]:
        """Return the fields of a form; Refused if it is not a form, too large, or not from a page of ours."""
        if request.mimetype != _FORM:
            raise Refused(415, "this is not a form.", hint=f"Wanted a body of type {_FORM}.")
        try:
            text = read_body(request.environ, _FORM_LIMITS).decode()
            fields = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict"))
        except TooLarge as error:
            raise Refused(413, "the form is too large.") from error
        except (BodyError, ValueError) as error:
            raise Refused(400, "the form cannot be read.") from error
        if not self._is_own_form(request, fields.get("key", "")):
            hint = "Open the page again and retry."
            raise Refused(403, "this form is not from a page of ours, or it is too old.", hint=hint)
        return fields

    def _is_own_form(self, request: Request, given: str) -> bool:
        """Return whether a form came from our own page in this browser."""
        token = self._token(request)
        if not token or self._guard.is_cross_site(request, self._access.public):
            return False
        return hmac.compare_digest(self._key(token).encode(), given.encode("utf-8", "replace"))

    def _session(self, request: Request) -> SessionRow | None:
        token = self._token(request)
        row = self._store.sessions.get_session(_digest(token)) if token else None
        if row is None:
            return None
        now_s = self._clock()
        if not (-_LAST_USE_PRECISION_S <= now_s - row.began_s < _SESSION_S and now_s - row.seen_s < _IDLE_S):
            self._store.sessions.delete_session(row.digest)
            return None
        if now_s - row.seen_s >= _LAST_USE_PRECISION_S:
            self._store.sessions.touch_session(row.digest, now_s)
        return row

    def _is_open(self, request: Request) -> bool:
        # checked by name: another site may resolve its own name to our loopback address
        return self._access.open and self._guard.has_known_host(request)

    def _key(self, token: str) -> str:
        secret = self._store.secrets.get_or_create_secret("pages").encode()
        return hmac.new(secret, f"form {token}".encode(), hashlib.sha256).hexdigest()

    def _token(self, request: Request) -> str:
        token = request.cookies.get(self.cookie, "")
        return token if 20 <= len(token) <= 100 else ""

    def set_cookie(self, response: Response, token: str) -> None:
        """Set the session cookie of a browser."""
        response.set_cookie(self.cookie, token, max_age=int(_SESSION_S), **self._cookie_options)


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


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
