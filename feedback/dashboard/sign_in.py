"""Sign-in and sign-out: Label Studio checks the account, and a session remembers the user."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from functools import partial

from flask import Blueprint, Response, make_response, redirect, request, url_for

from feedback.dashboard.authentication import Authenticator, safe_redirect_path
from feedback.dashboard.rendering import Refused, show
from ml_backend.app.security import Attempts, TooManyAttempts
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.accounts import User, WrongCredentials, check_password, check_token, list_names

_MAX_CONCURRENT = 2  # sign-ins of a worker that wait for Label Studio; predictions need the other threads
_QUEUE_TIMEOUT_S = 2.0
_NAMES_S = 300.0  # names of people are cached for so long
_log = logging.getLogger(__name__)


class LabelStudioAccounts:
    """The accounts of one Label Studio; without `api_key`, the token of the service, nobody is the owner."""

    def __init__(self, url: str, api_key: str) -> None:
        self._url, self._api_key = url, api_key
        self._lock = threading.Lock()
        self._asked_s = float("-inf")
        self._names: Mapping[int, str] = {}

    def by_password(self, email: str, password: str) -> User:
        """Return the user of a password; WrongCredentials, or LabelStudioError where Label Studio does not answer."""
        return check_password(self._url, email, password)

    def by_token(self, token: str) -> User:
        """Return the user of a token; WrongCredentials, or LabelStudioError where Label Studio does not answer."""
        return check_token(self._url, token)

    def is_owner(self, who: User) -> bool:
        """Return whether our token is theirs; asked at each sign-in, because the token may change."""
        if not self._api_key:
            return False
        try:
            return check_token(self._url, self._api_key).id == who.id
        except LabelStudioError as error:
            _log.warning("could not read from Label Studio which user the token of the service belongs to: %s", error)
            return False

    def names(self) -> Mapping[int, str]:
        """Return names or e-mail addresses by user id, at most five minutes old; {} if Label Studio does not answer."""
        now_s = time.monotonic()
        if not self._api_key or 0 <= now_s - self._asked_s < _NAMES_S:
            return self._names
        with self._lock:
            if 0 <= now_s - self._asked_s < _NAMES_S:
                return self._names
            self._asked_s = now_s  # also after a failure, so that not every page waits for Label Studio
            try:
                self._names = list_names(self._url, self._api_key)
            except (LabelStudioError, KeyError, TypeError, ValueError) as error:
                _log.warning("Label Studio did not return the names of people: %s", type(error).__name__)
        return self._names


def add_sign_in(
    routes: Blueprint, authenticator: Authenticator, accounts: LabelStudioAccounts | None, attempts: Attempts
) -> None:
    """Add the sign-in page and its forms; without `accounts` the page explains why nobody can sign in."""
    slots = threading.BoundedSemaphore(_MAX_CONCURRENT)
    page = partial(_page, authenticator, accounts)

    @routes.get("/sign-in")
    def sign_in() -> Response:
        """Show the sign-in form."""
        return page(safe_redirect_path(request.args.get("next", "/")))

    @routes.post("/sign-in")
    def signed_in() -> Response:
        """Check the credentials with Label Studio and start a session."""
        fields = authenticator.read_form(request)
        onward = safe_redirect_path(fields.get("next", "/"))
        if accounts is None:
            reason = "nobody can sign in, because no Label Studio is configured."
            raise Refused(503, reason, hint="Set LABEL_STUDIO_URL.")
        address, email = request.remote_addr or "", fields.get("email", "")
        if (wait_s := attempts.wait_s(address)) > 0:
            return page(onward, problem=TooManyAttempts(wait_s), status=429)
        if not slots.acquire(timeout=_QUEUE_TIMEOUT_S):
            return page(onward, problem=_BUSY, email=email, status=503)
        try:
            who = _check_account(accounts, fields)
        except WrongCredentials as error:
            attempts.failed(address)
            return page(onward, problem=error, email=email, status=401)
        except LabelStudioError as error:
            _log.warning("sign-in failed: %s", error)
            return page(onward, problem=_UNAVAILABLE, email=email, status=503)
        finally:
            slots.release()
        response = make_response(redirect(onward, 303))
        authenticator.sign_in(request, response, who, owner=accounts.is_owner(who))
        _log.info("user %d signed in", who.id)
        return response

    @routes.post("/sign-out")
    def signed_out() -> Response:
        """End the session."""
        authenticator.read_form(request)
        response = make_response(redirect(url_for("pages.sign_in"), 303))
        authenticator.sign_out(request, response)
        return response


_BUSY = LabelStudioError("Too many people are signing in.", hint="Try again in a few seconds.")
_UNAVAILABLE = LabelStudioError("Label Studio does not answer.", hint="Check that it is running, and try again.")


def _check_account(accounts: LabelStudioAccounts, fields: Mapping[str, str]) -> User:
    token, email, password = (fields.get(name, "") for name in ("token", "email", "password"))
    if token.strip():
        return accounts.by_token(token.strip())
    if not email.strip() or not password:
        raise WrongCredentials("E-mail address or password is missing.")
    return accounts.by_password(email.strip(), password)


def _page(
    authenticator: Authenticator,
    accounts: LabelStudioAccounts | None,
    onward: str,
    *,
    problem: LabelStudioError | TooManyAttempts | None = None,
    email: str = "",
    status: int = 200,
) -> Response:
    key, cookie = authenticator.get_form_key(request)
    figures = {"error": str(problem), "hint": problem.hint} if problem else {"sign_in": "with Label Studio's account"}
    shown = {"onward": onward, "email": email, "possible": accounts is not None}
    response = show("sign_in", figures, visitor=None, status=status, key=key, **shown)
    if cookie:
        authenticator.set_cookie(response, cookie)
    return response
