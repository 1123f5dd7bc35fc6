"""Signing in and out: Label Studio checks who somebody is, we only remember it for a while."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from flask import Blueprint, Response, make_response, redirect, request, url_for

from feedback.dashboard.authentication import Authenticator
from feedback.dashboard.forms import read_form, safe_redirect_path
from feedback.dashboard.label_studio_login import Accounts
from feedback.dashboard.rendering import Refused, show
from ml_backend.app.security import Attempts, TooManyAttempts
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.accounts import Who, WrongCredentials

_MAX_CONCURRENT = 2  # threads of a worker that may wait for Label Studio: the others belong to predictions and webhooks
_PATIENCE_S = 2.0
_log = logging.getLogger(__name__)


def add_sign_in(routes: Blueprint, authenticator: Authenticator, accounts: Accounts | None, attempts: Attempts) -> None:
    """Add the sign-in page and its forms; without `accounts` the page says why nobody can sign in."""

    slots = threading.BoundedSemaphore(_MAX_CONCURRENT)

    @routes.get("/sign-in")
    def sign_in() -> Response:
        """The form."""
        return _page(authenticator, accounts, safe_redirect_path(request.args.get("next", "/")))

    @routes.post("/sign-in")
    def signed_in() -> Response:
        """Ask Label Studio; a new session for whom it knows."""
        fields = read_form(request, authenticator)
        onward = safe_redirect_path(fields.get("next", "/"))
        if accounts is None:
            raise Refused(503, "nobody can sign in here.", hint="Set LABEL_STUDIO_URL.")
        address = request.remote_addr or ""
        if (wait_s := attempts.wait_s(address)) > 0:
            return _page(authenticator, accounts, onward, problem=TooManyAttempts(wait_s), status=429)
        if not slots.acquire(timeout=_PATIENCE_S):
            return _page(authenticator, accounts, onward, problem=_BUSY, email=fields.get("email", ""), status=503)
        try:
            who = _ask(accounts, fields)
        except WrongCredentials as error:
            attempts.failed(address)
            return _page(authenticator, accounts, onward, problem=error, email=fields.get("email", ""), status=401)
        except LabelStudioError as error:
            _log.warning("nobody can sign in: %s", error)
            return _page(
                authenticator, accounts, onward, problem=_UNAVAILABLE, email=fields.get("email", ""), status=503
            )
        finally:
            slots.release()
        response = make_response(redirect(onward, 303))
        authenticator.sign_in(request, response, who, owner=accounts.is_owner(who))
        _log.info("user %d signed in", who.id)
        return response

    @routes.post("/sign-out")
    def signed_out() -> Response:
        """Forget the session."""
        read_form(request, authenticator)
        response = make_response(redirect(url_for("pages.sign_in"), 303))
        authenticator.sign_out(request, response)
        return response


_BUSY = LabelStudioError("Too many people sign in at this moment.", hint="Try again in a few seconds.")
_UNAVAILABLE = LabelStudioError("Label Studio cannot be asked now.", hint="Is it running? Try again in a moment.")


def _ask(accounts: Accounts, fields: Mapping[str, str]) -> Who:
    token, email, password = (fields.get(name, "") for name in ("token", "email", "password"))
    if token.strip():
        return accounts.by_token(token.strip())
    if not email.strip() or not password:
        raise WrongCredentials("E-mail address or password is missing.")
    return accounts.by_password(email.strip(), password)


def _page(
    authenticator: Authenticator,
    accounts: Accounts | None,
    onward: str,
    *,
    problem: LabelStudioError | TooManyAttempts | None = None,
    email: str = "",
    status: int = 200,
) -> Response:
    key, cookie = authenticator.get_form_key(request)
    figures = {"error": str(problem), "hint": problem.hint} if problem else {"sign_in": "with Label Studio's account"}
    response = show(
        "sign_in",
        figures,
        visitor=None,
        status=status,
        key=key,
        onward=onward,
        email=email,
        possible=accounts is not None,
    )
    if cookie:
        authenticator.set_cookie(response, cookie)
    return response
