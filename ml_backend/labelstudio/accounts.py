"""People and bots of a Label Studio, made and known the way a browser does: log-in, sign-up by invitation, token."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.transport import Transport, as_object

_TIMEOUT_S = 30.0
_ASKING_S = 10.0  # somebody waits in front of a page
_TAKEN = "Revoke the old one in Label Studio under Account & Settings > Personal Access Token, or allow replacing it."


@dataclass(frozen=True, slots=True)
class Account:
    """One user of Label Studio and the personal access token to act as them; neither secret shows in a repr."""

    id: int
    email: str
    password: str = field(repr=False)
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Who:
    """A user of Label Studio, as Label Studio itself says."""

    id: int
    email: str


class WrongCredentials(LabelStudioError):
    """Label Studio does not know this token, or this e-mail address with this password."""


def check_password(url: str, email: str, password: str) -> Who:
    """Let Label Studio check a password by its login form, and log out again; nothing is made or revoked.

    NotThem where it is wrong; another LabelStudioError where nobody can tell.
    """
    with _browser(url, timeout_s=_ASKING_S) as browser:
        try:
            _send_form(browser, "user/login/", {"email": email, "password": password})
        except LabelStudioError as error:
            if error.status == HTTPStatus.OK:  # the form once more
                raise WrongCredentials(
                    "Label Studio does not accept this e-mail address and password.", status=401
                ) from None
            raise
        try:
            me = _json(browser.get("api/current-user/whoami"), "read who is logged in")
            browser.get("logout")
        except httpx.TransportError as error:
            raise LabelStudioError(f"Label Studio broke off: {type(error).__name__}.") from error
    return Who(int(str(me["id"])), str(me["email"]))


def check_token(url: str, token: str) -> Who:
    """Let Label Studio check an access token, personal or legacy; NotThem where it is wrong or has expired."""
    refused = WrongCredentials("Label Studio does not accept this access token.", status=401)
    if not (token.isascii() and token.isprintable() and token.strip() and " " not in token):
        raise refused  # no header could carry it
    transport = Transport(url, token, timeout_s=_ASKING_S, tries=1)
    try:
        me = as_object(transport.send("GET", "api/current-user/whoami"))
    except LabelStudioError as error:
        if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise refused from None
        raise
    finally:
        transport.close()
    return Who(int(me["id"]), str(me["email"]))


def log_in(url: str, email: str, password: str, *, replace_token: bool = False) -> Account:
    """Log in by the login form and make a personal access token.

    Label Studio allows one live token per user: an existing one is revoked with `replace_token`, else it is an error.
    """
    with _browser(url) as browser:
        _send_form(browser, "user/login/", {"email": email, "password": password, "persist_session": "on"})
        return _account(browser, email, password, replace_token=replace_token)


def sign_up(url: str, invitation: str, email: str, *, password: str = "") -> Account:
    """Make a user by an invitation (`Client.invitation()`), as an annotator would in the browser.

    An empty password becomes a random one. LabelStudioError says when the email is taken or the invitation is wrong.
    """
    chosen = password or secrets.token_urlsafe(18)
    token = parse_qs(urlsplit(invitation).query).get("token", [""])[0]
    with _browser(url) as browser:
        _send_form(browser, f"user/signup/?token={token}", {"email": email, "password": chosen})
        return _account(browser, email, chosen, replace_token=False)


def create_bot(url: str, invitation: str, *, name: str = "hitl-bot") -> Account:
    """Make the dedicated user that we write as; its random password is known to nobody.

    The address carries a random part: a bot whose token was lost can simply be made anew.
    """
    return sign_up(url, invitation, f"{name}-{secrets.token_hex(4)}@hitl.invalid")


def _browser(url: str, *, timeout_s: float = _TIMEOUT_S) -> httpx.Client:
    return httpx.Client(base_url=url.rstrip("/") + "/", timeout=timeout_s, follow_redirects=False)


def _send_form(browser: httpx.Client, path: str, fields: dict[str, str]) -> None:
    """Post a form with its CSRF token; Label Studio answers a redirect exactly when it accepts."""
    try:
        page = browser.get(path)
        answer = browser.post(
            path,
            data={"csrfmiddlewaretoken": browser.cookies.get("csrftoken") or "", **fields},
            headers={"Referer": urljoin(str(browser.base_url), path)},
        )
    except httpx.TransportError as error:
        raise LabelStudioError(f"cannot reach Label Studio at {browser.base_url}: {type(error).__name__}.") from error
    if answer.status_code == HTTPStatus.FORBIDDEN:
        raise LabelStudioError(
            "Label Studio refused the form; the invitation is not valid any more.",
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
    me = _json(browser.get("api/current-user/whoami"), "read who is logged in")
    made = browser.post("api/token/")
    if made.status_code == HTTPStatus.CONFLICT and replace_token:
        for old in browser.get("api/token/").json():
            browser.post("api/token/blacklist/", json={"refresh": old["token"]})
        made = browser.post("api/token/")
    if made.status_code == HTTPStatus.CONFLICT:
        raise LabelStudioError(f"{email} already has a personal access token.", hint=_TAKEN, status=409)
    return Account(int(str(me["id"])), email, password, str(_json(made, "make an access token")["token"]))


def _json(answer: httpx.Response, what: str) -> dict[str, object]:
    try:
        body = answer.json() if answer.is_success else None
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise LabelStudioError(f"Label Studio could not {what} (HTTP {answer.status_code}).", status=answer.status_code)
    return body
