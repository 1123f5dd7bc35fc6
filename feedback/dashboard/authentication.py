"""The door: who a request comes from, by session cookie, by the service's own login, or because the door is open."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Request, Response

from feedback.dashboard.permissions import Visitor
from feedback.store import SessionRow, Store
from ml_backend.app.security import Guard
from ml_backend.labelstudio.accounts import Who

_LIFE_S = 12 * 3600.0  # a working day, then Label Studio is asked again
_IDLE_S = 2 * 3600.0
_NOTED_S = 60.0  # how exactly we know when a session was last in use: each note is a durable write
_BYTES = 32


@dataclass(frozen=True, slots=True)
class Manners:
    """How the door is kept; made from the settings."""

    secure: bool = False  # cookies over https only
    open: bool = False  # without signing in everybody may look: on loopback, where no password is set
    hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost", "::1"})  # under which names an open door is open
    public: str = ""  # host:port of our public address: a proxy may not hand it on as Host


class Door:
    """Knows visitors, signs them in and out, and makes the keys of forms.

    A browser holds one random cookie. Before signing in it means nothing but that forms come back from the browser
    they were sent to; signing in replaces it, so that nobody can slip somebody a cookie and wait.
    """

    def __init__(self, store: Store, guard: Guard, manners: Manners, *, clock: Callable[[], float] = time.time) -> None:
        self._store, self._guard, self._manners, self._clock = store, guard, manners, clock
        self.cookie = "__Host-hitl" if manners.secure else "hitl"

    def visitor(self, request: Request) -> Visitor | None:
        """Give who asks; None for somebody who must sign in first.

        Raises NotAllowed or TooManyAttempts for a wrong login of the service.
        """
        row = self._session(request)
        if row is not None:
            return Visitor("person", row.person, row.email, owner=row.owner)
        if request.headers.get("Authorization") and self._guard.has_login:  # without one, anything would pass
            self._guard.ml(request)
            return Visitor("program")
        return Visitor("anybody") if self._is_open(request) else None

    def begin(self, request: Request, response: Response, who: Who, *, owner: bool) -> None:
        """Sign a browser in with a new cookie; its old one is worth nothing from here on."""
        fresh, now_s = secrets.token_urlsafe(_BYTES), self._clock()
        row = SessionRow(_digest(fresh), who.id, who.email, owner, now_s, now_s)
        self._store.begin_session(row, instead_of=_digest(self._token(request)), ended_before_s=now_s - _LIFE_S)
        self.give(response, fresh)

    def end(self, request: Request, response: Response) -> None:
        """Sign a browser out."""
        self._store.end_session(_digest(self._token(request)))
        response.delete_cookie(self.cookie, path="/", secure=self._manners.secure, httponly=True, samesite="Lax")

    def form_key(self, request: Request) -> tuple[str, str]:
        """Give the key that a form of this browser must bring, and the cookie that it must get first; "" has one."""
        token = self._token(request)
        fresh = "" if token else secrets.token_urlsafe(_BYTES)
        return self._key(token or fresh), fresh

    def is_ours(self, request: Request, given: str) -> bool:
        """Whether a form came from our own page in this browser."""
        token = self._token(request)
        if not token or request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = request.headers.get("Origin", "null")  # null: our own referrer policy makes browsers say so
        if origin != "null" and urlsplit(origin).netloc not in (request.host, self._manners.public):
            return False
        return hmac.compare_digest(self._key(token).encode(), given.encode("utf-8", "replace"))

    def _session(self, request: Request) -> SessionRow | None:
        token = self._token(request)
        row = self._store.session(_digest(token)) if token else None
        if row is None:
            return None
        now_s = self._clock()
        if not (-_NOTED_S <= now_s - row.began_s < _LIFE_S and now_s - row.seen_s < _IDLE_S):
            self._store.end_session(row.digest)
            return None
        if now_s - row.seen_s >= _NOTED_S:
            self._store.see_session(row.digest, now_s)
        return row

    def _is_open(self, request: Request) -> bool:
        # by name: a page of another site may resolve its own name to our loopback address
        return self._manners.open and (urlsplit(f"//{request.host}").hostname or "") in self._manners.hosts

    def _key(self, token: str) -> str:
        secret = self._store.secret("pages").encode()
        return hmac.new(secret, f"form {token}".encode(), hashlib.sha256).hexdigest()

    def _token(self, request: Request) -> str:
        token = request.cookies.get(self.cookie, "")
        return token if 20 <= len(token) <= 100 else ""

    def give(self, response: Response, token: str) -> None:
        """Give a browser its cookie."""
        response.set_cookie(
            self.cookie,
            token,
            max_age=int(_LIFE_S),
            path="/",
            secure=self._manners.secure,
            httponly=True,
            samesite="Lax",
        )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
