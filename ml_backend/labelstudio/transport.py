"""One place where a request goes out: tokens, time limits, retries, and errors of one short sentence."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx
import tenacity

from ml_backend.errors import LabelStudioError

Json = dict[str, Any]

_BUSY = frozenset({429, 500, 502, 503, 504})
_MAX_WAIT_S = 10.0  # also bounds what a Retry-After may ask of us
_TO_GET_ONE = "Make a personal access token in Label Studio (Account & Settings) and set LABEL_STUDIO_API_KEY."
_TAG = re.compile(r"<[^>]*>")


class NotLabelStudio(LabelStudioError):
    """A page came where data was wanted: another server, a lost path prefix, or an address that Label Studio lacks."""

    hint = "Check LABEL_STUDIO_URL, path prefix included."


class _Busy(Exception):
    """An answer that asks us to come again; never leaves this file."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class _Access:
    """What the SDK's token client expects of a refresh."""

    access: str


class Transport:
    """Sends JSON to one Label Studio as one user.

    `api_key` is a personal access token (its short-lived access tokens are refreshed by label-studio-sdk) or a legacy
    token. Requests that may be repeated are retried with back-off on 429, 5xx and broken connections; others only when
    the connection was never made. Messages of errors never carry the key.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        timeout_s: float = 30.0,
        tries: int = 4,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise LabelStudioError(f"{url!r} is not an address.", hint="Set LABEL_STUDIO_URL to http://… or https://….")
        if not api_key.strip():
            raise LabelStudioError(
                "there is no access token for Label Studio.",
                hint="Set LABEL_STUDIO_API_KEY to a personal access token (Account & Settings in Label Studio).",
            )
        if not (api_key.strip().isascii() and api_key.strip().isprintable()):
            raise LabelStudioError("the access token holds letters that no token has.", hint=_TO_GET_ONE)
        self.url = url.rstrip("/") + "/"  # the SDK joins paths: without the slash a prefix would be lost
        self._api_key = api_key.strip()
        self._tries = tries
        self._sleep = sleep
        limits = httpx.Limits(keepalive_expiry=2.0)  # the development server drops idle connections
        self._http = httpx.Client(timeout=timeout_s, limits=limits)
        self._tokens: Any = None

    @property
    def legacy(self) -> bool:
        """True when the key is a legacy token, which Label Studio refuses unless its organization allows it."""
        return self._token_client().jwt_token_type(self._api_key) is None

    def authorization(self) -> str:
        """The Authorization header for what others send as us; LabelStudioError where no token is to be had."""
        try:
            return self._authorization()
        except _Busy as error:
            raise LabelStudioError(f"Label Studio answered {error.answer.status_code} to a token's refresh.") from None
        except httpx.HTTPError as error:
            raise LabelStudioError(f"no answer from Label Studio at {self._shown_url()}: {_reason(error)}.") from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        repeat: bool | None = None,
        timeout_s: float | None = None,
    ) -> Any:
        """Send one request and give the decoded JSON (None for an empty answer).

        `repeat` says whether it may be sent twice; default: everything but POST. LabelStudioError carries the status.
        """
        again = method != "POST" if repeat is None else repeat
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: _worth_another_try(error, again=again)),
            wait=_wait,
            stop=tenacity.stop_after_attempt(self._tries),
            sleep=self._sleep,
            reraise=True,
        )
        what = f"{method} {path}"
        try:
            answer: httpx.Response = retrying(self._once, method, path, query, body, timeout_s)
        except _Busy as error:
            answer = error.answer
        except httpx.HTTPError as error:
            raise LabelStudioError(
                f"no answer from Label Studio at {self._shown_url()} for {what}: {_reason(error)}.",
                hint="Is Label Studio running, and is LABEL_STUDIO_URL its address?",
            ) from error
        return self._read(answer, what)

    def _once(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Any, timeout_s: float | None
    ) -> httpx.Response:
        answer = self._attempt(method, path, query, body, timeout_s)
        if answer.status_code == HTTPStatus.UNAUTHORIZED and not self.legacy:
            self._tokens = None  # the access token may have died early: ask for a new one, once
            answer = self._attempt(method, path, query, body, timeout_s)
        if answer.status_code in _BUSY:
            raise _Busy(answer)
        return answer

    def _attempt(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Any, timeout_s: float | None
    ) -> httpx.Response:
        return self._http.request(
            method,
            self.url + path.lstrip("/"),
            params=query,
            json=body,
            headers={"Authorization": self._authorization()},
            timeout=httpx.USE_CLIENT_DEFAULT if timeout_s is None else timeout_s,
        )

    def _token_client(self) -> Any:
        if self._tokens is None:
            # reason: the SDK takes half a second to import
            from label_studio_sdk.core.api_error import ApiError
            from label_studio_sdk.tokens.client_ext import TokensClientExt

            class Tokens(TokensClientExt):  # keeps, checks and locks; its own refresh warns and chokes on a web page
                def refresh(self, refresh_token: str | None = None) -> Any:
                    return owner._refresh(refresh_token or owner._api_key)

            owner = self
            try:
                self._tokens = Tokens(self.url, self._api_key)
            except ApiError as error:  # it has expired
                raise _dead_token(error.status_code) from None
        return self._tokens

    def _refresh(self, token: str) -> _Access:
        answer = self._http.post(f"{self.url}api/token/refresh/", json={"refresh": token})
        if answer.status_code in _BUSY:
            raise _Busy(answer)
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict) or answer.status_code == HTTPStatus.NOT_FOUND:
            raise NotLabelStudio(
                f"{self._shown_url()} does not answer like Label Studio (no token refresh there).",
                status=answer.status_code,
            )
        if not answer.is_success:
            raise _dead_token(answer.status_code, self._clean(_sentence(body)))
        return _Access(str(body["access"]))

    def _authorization(self) -> str:
        return f"Token {self._api_key}" if self.legacy else f"Bearer {self._token_client().api_key}"

    def _read(self, answer: httpx.Response, what: str) -> Any:
        if answer.is_success and not answer.content:
            return None
        try:
            body = answer.json()
        except ValueError:
            body = None
            if answer.is_success or answer.is_redirect or answer.status_code == HTTPStatus.NOT_FOUND:
                raise NotLabelStudio(
                    f"Label Studio answered {what} with a page instead of data (HTTP {answer.status_code}).",
                    status=answer.status_code,
                ) from None
        if answer.is_success:
            return body
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            raise _dead_token(answer.status_code, self._clean(_sentence(body)))
        said = self._clean(_sentence(body)) or "it sent a page instead of a reason"
        raise LabelStudioError(
            f"Label Studio refused {what} (HTTP {answer.status_code}): {said}", status=answer.status_code
        )

    def _clean(self, text: str) -> str:
        return _TAG.sub("", text).replace(self._api_key, "***").strip()[:300]

    def _shown_url(self) -> str:
        parts = httpx.URL(self.url)
        return str(parts.copy_with(userinfo=b"")) if parts.userinfo else self.url


def project_number(project: str) -> int:
    """Read a project id; anything but digits would become part of a path.

    >>> project_number("12")
    12
    """
    if not (project.isascii() and project.isdigit()):
        raise LabelStudioError(
            f"{project!r} is not a project id; wanted a number such as 12.",
            hint="It stands in the project's address in Label Studio: /projects/12/.",
        )
    return int(project)


def as_object(body: Any) -> Json:
    """Check that an answer is a JSON object."""
    if not isinstance(body, dict):
        raise LabelStudioError(f"Label Studio answered with a {type(body).__name__}, wanted an object.")
    return body


def _worth_another_try(error: BaseException, *, again: bool) -> bool:
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return True  # nothing was sent
    if isinstance(error, _Busy):
        return again or error.answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
    return again and isinstance(error, httpx.TransportError)


def _wait(state: tenacity.RetryCallState) -> float:
    failure = state.outcome.exception() if state.outcome is not None else None
    asked = failure.answer.headers.get("Retry-After", "") if isinstance(failure, _Busy) else ""
    if asked.isdigit():
        return min(float(asked), _MAX_WAIT_S)
    return tenacity.wait_random_exponential(multiplier=0.2, max=_MAX_WAIT_S)(state)


def _reason(error: httpx.HTTPError) -> str:
    """An httpx error by its kind: its own text may hold an address with a password."""
    if isinstance(error, httpx.TimeoutException):
        return "time limit reached"
    if isinstance(error, httpx.ConnectError):
        unknown = isinstance(_root(error), socket.gaierror)
        return "no such host" if unknown else "connection refused"
    return "the connection was dropped" if isinstance(error, httpx.TransportError) else type(error).__name__


def _root(error: BaseException) -> BaseException:
    """What the system said, below the wrappers of httpx."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def _sentence(body: Any) -> str:
    """Find the reason in an error body: `detail`, or the first field's complaint."""
    if not isinstance(body, dict):
        return str(body)[:300] if isinstance(body, (str, list)) else ""
    problems = body.get("validation_errors")
    if isinstance(problems, dict) and problems:
        return "; ".join(f"{name}: {_flat(said)}" for name, said in problems.items())
    return _flat(body.get("detail") or problems or body.get("error") or body)


def _flat(said: Any) -> str:
    return " ".join(map(str, said)) if isinstance(said, list) else str(said)


def _dead_token(status: int | None, said: str = "") -> LabelStudioError:
    return LabelStudioError(
        f"Label Studio does not accept the access token{f' ({said})' if said else ''}.",
        hint=f"{_TO_GET_ONE} Legacy tokens work only where the organization allows them.",
        status=status,
    )
