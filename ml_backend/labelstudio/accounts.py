"""User accounts of Label Studio: log-in, sign-up by invitation, and access tokens, as a browser does it."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from ml_backend import connections
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.transport import Transport, as_object, check_answer, json_or_none, not_reached
from ml_backend.labelstudio.verified_writes import create_once

_TIMEOUT_S = 30.0
_LOGIN_TIMEOUT_S = 10.0  # a person waits for a page
_NAMES_TIMEOUT_S = 3.0  # then readers get user ids instead of names
_REVOKE = "Revoke the old one in Label Studio under Account & Settings > Personal Access Token, or allow replacing it."


@dataclass(frozen=True, slots=True)
class User:
    """The id and e-mail address of a user of Label Studio."""

    id: int
    email: str


@dataclass(frozen=True, slots=True)
class Account(User):
    """A user with password and personal access token, which no repr shows."""

    password: str = field(repr=False)
    token: str = field(repr=False)


class WrongCredentials(LabelStudioError):
    """Label Studio does not accept this token, or this e-mail address and password."""


def list_names(url: str, token: str) -> dict[int, str]:
    """Return what `name_users` calls each user of Label Studio; LabelStudioError where it does not answer.

    Readers wait for it, so it asks once and for seconds only.
    """
    with Client(url, token, timeout_s=_NAMES_TIMEOUT_S, tries=1) as client:
        return name_users(client.users())


def name_users(users: Sequence[Mapping[str, object]]) -> dict[int, str]:
    """Return the name of each user by user id, or the e-mail address of one without a name; no two are equal.

    >>> ann = {"first_name": "Ann", "last_name": "Lee"}
    >>> users = [{"id": 1, "email": "a@x.org", **ann}, {"id": 2, "email": "b@x.org", **ann}]
    >>> name_users([*users, {"id": 3, "email": "c@x.org"}])
    {1: 'Ann Lee (a@x.org)', 2: 'Ann Lee (b@x.org)', 3: 'c@x.org'}
    """
    emails = {int(str(user["id"])): str(user.get("email") or f"person {user['id']}") for user in users}
    names = {int(str(user["id"])): _full_name(user) for user in users}
    often = Counter(names.values())
    return {
        user: email if not names[user] else names[user] if often[names[user]] == 1 else f"{names[user]} ({email})"
        for user, email in emails.items()
    }


def _full_name(user: Mapping[str, object]) -> str:
    return " ".join(str(user.get(part) or "") for part in ("first_name", "last_name")).strip()


def check_password(url: str, email: str, password: str) -> User:
    """Check a password with Label Studio's login form, and log out; no token is created or revoked.

    WrongCredentials where it is wrong; another LabelStudioError where Label Studio cannot be asked.
    """
    with _browser(url, timeout_s=_LOGIN_TIMEOUT_S) as browser:
        try:
            _send_form(browser, "user/login/", {"email": email, "password": password})
        except LabelStudioError as error:
            if error.status == HTTPStatus.OK:  # it shows the form again
                raise WrongCredentials(
                    "Label Studio does not accept this e-mail address and password.", status=401
                ) from None
            raise
        me = _json(browser.get("api/current-user/whoami"), "tell who is logged in")
        browser.get("logout")
    return User(int(str(me["id"])), str(me["email"]))


def check_token(url: str, token: str) -> User:
    """Check an access token, personal or legacy; WrongCredentials where it is wrong or has expired."""
    refused = WrongCredentials("Label Studio does not accept this access token.", status=401)
    if not (token.isascii() and token.isprintable() and token.strip() and " " not in token):
        raise refused  # not possible in a header
    try:
        with Transport(url, token, timeout_s=_LOGIN_TIMEOUT_S, tries=1) as transport:
            me = as_object(transport.send("GET", "api/current-user/whoami"))
    except LabelStudioError as error:
        if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise refused from None
        raise
    return User(int(me["id"]), str(me["email"]))


def log_in(url: str, email: str, password: str, *, replace_token: bool = False) -> Account:
    """Log in with the login form and create a personal access token.

    Label Studio allows one valid token per user. `replace_token` revokes an existing one; without it, one is an error.
    """
    with _browser(url) as browser:
        _send_form(browser, "user/login/", {"email": email, "password": password, "persist_session": "on"})
        return _account(browser, email, password, replace_token=replace_token)


def sign_up(url: str, invitation: str, email: str, *, password: str = "") -> Account:
    """Create a user with an invitation (`Client.invitation()`), as an annotator does in the browser.

    The password is random where none is given. LabelStudioError where the e-mail address is taken or the invitation
    wrong.
    """
    password = password or secrets.token_urlsafe(18)
    token = parse_qs(urlsplit(invitation).query).get("token", [""])[0]
    with _browser(url) as browser:
        _send_form(browser, f"user/signup/?token={token}", {"email": email, "password": password})
        return _account(browser, email, password, replace_token=False)


def make_bot_login() -> tuple[str, str]:
    """Return an e-mail address and a password for the user that this service writes as.

    The address has a random part, so that a bot whose token was lost can be created again.
    """
    return f"hitl-bot-{secrets.token_hex(4)}@hitl.invalid", secrets.token_urlsafe(18)


def create_bot(url: str, invitation: Callable[[], str], login: tuple[str, str]) -> Account:
    """Create the user that this service writes as; safe to repeat with the same login after an answer was lost."""
    email, password = login

    def find() -> Account | None:
        with suppress(LabelStudioError):
            return log_in(url, email, password, replace_token=True)
        return None

    return create_once(find, lambda: sign_up(url, invitation(), email, password=password))


@contextmanager
def _browser(url: str, *, timeout_s: float = _TIMEOUT_S) -> Iterator[httpx.Client]:
    """Open a session in which each failed connection is a LabelStudioError."""
    base = url.rstrip("/") + "/"
    try:
        with connections.http_client(url, base_url=base, timeout=timeout_s, follow_redirects=False) as browser:
            yield browser
    except connections.FAILURES as error:
        raise not_reached(error, url) from error


def _send_form(browser: httpx.Client, path: str, fields: dict[str, str]) -> None:
    """Post a form with its CSRF token; Label Studio redirects exactly where it accepts the form."""
    page = browser.get(path)
    check_answer(page, str(browser.base_url))
    answer = browser.post(
        path,
        data={"csrfmiddlewaretoken": browser.cookies.get("csrftoken") or "", **fields},
        headers={"Referer": urljoin(str(browser.base_url), path)},
    )
    if answer.status_code == HTTPStatus.FORBIDDEN:
        raise LabelStudioError(
            "Label Studio refused the form; the invitation is no longer valid.",
            hint="Make a new invitation: Organization > Add People in Label Studio.",
            status=answer.status_code,
        )
    if answer.status_code != HTTPStatus.FOUND or page.status_code >= HTTPStatus.BAD_REQUEST:
        what = "sign-up" if "signup" in path else "log-in"
        raise LabelStudioError(
            f"Label Studio refused the {what} of {fields['email']}.",
            hint="Email or password is wrong, or the email is already taken (sign-up).",
            status=answer.status_code,
        )


def _account(browser: httpx.Client, email: str, password: str, *, replace_token: bool) -> Account:
    me = _json(browser.get("api/current-user/whoami"), "tell who is logged in")
    made = browser.post("api/token/")
    if made.status_code == HTTPStatus.CONFLICT and replace_token:
        for old in json_or_none(browser.get("api/token/")) or ():
            browser.post("api/token/blacklist/", json={"refresh": old["token"]})
        made = browser.post("api/token/")
    if made.status_code == HTTPStatus.CONFLICT:
        raise LabelStudioError(f"{email} already has a personal access token.", hint=_REVOKE, status=409)
    return Account(int(str(me["id"])), email, password, str(_json(made, "create an access token")["token"]))


def _json(answer: httpx.Response, what: str) -> dict[str, object]:
    body = json_or_none(answer) if answer.is_success else None
    if not isinstance(body, dict):
        raise LabelStudioError(f"Label Studio could not {what} (HTTP {answer.status_code}).", status=answer.status_code)
    return body
