"""Send requests to Label Studio: access tokens, time limits, retries, and short error messages."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, Self

import httpx
import tenacity

from ml_backend import connections
from ml_backend.errors import LabelStudioError, NotFound

Json = dict[str, Any]

_SETTING = "LABEL_STUDIO_URL"
_BUSY = frozenset({429, 500, 502, 503, 504})
NO_SUCH_PATH = frozenset({404, 405})
_MAX_WAIT_S = 10.0  # the limit for a Retry-After, too
_FAILED_HINT = (
    "Its own log says why. A task whose text Label Studio cannot show makes each list of tasks fail: "
    "its Data Manager is empty then, too, and without that task everything works."
)
_NEW_KEY_HINT = "Make a personal access token in Label Studio (Account & Settings) and set LABEL_STUDIO_API_KEY."
_TAG = re.compile(r"<[^>]*>")


class NotLabelStudio(LabelStudioError):
    """The response is a page, not JSON: another server, a missing path prefix, or an unknown address."""

    hint = "Check LABEL_STUDIO_URL, path prefix included."


class _Busy(Exception):
    """A response that asks for a retry; it never leaves this module."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class _Access:
    """The result of a refresh, as the SDK's token client expects it."""

    access: str


class Transport:
    """Sends JSON to one Label Studio as one user.

    `api_key` is a personal access token, whose short-lived access tokens label-studio-sdk refreshes, or a legacy token.
    Repeatable requests are retried on 429, 5xx and broken connections, others only where nothing was sent; silence for
    `timeout_s` ends the request. Error messages never contain the key.
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
        scheme, _, rest = url.strip().rstrip("/").partition("://")
        if scheme.lower() not in ("http", "https") or not rest or not {"?", "#"}.isdisjoint(rest):
            hint = "Set LABEL_STUDIO_URL to http://… or https://…, without ? and #."
            raise LabelStudioError(f"{connections.shown_url(url)} is not the address of a Label Studio.", hint=hint)
        if not api_key.strip():
            raise LabelStudioError(
                "there is no access token for Label Studio.",
                hint="Set LABEL_STUDIO_API_KEY to a personal access token (Account & Settings in Label Studio).",
            )
        if not (api_key.strip().isascii() and api_key.strip().isprintable()):
            raise LabelStudioError("the access token contains characters that no token has.", hint=_NEW_KEY_HINT)
        self.url = f"{scheme.lower()}://{rest}/"  # the SDK joins paths, and without the slash a prefix would be lost
        self._api_key = api_key.strip()
        self._tries = tries
        self._sleep = sleep
        self._timeout_s = timeout_s
        self._tokens: Any = None

    @cached_property
    def _http(self) -> httpx.Client:
        """Made at the first request: a proxy or a certificate file that cannot be used is an error of that request."""
        limits = httpx.Limits(keepalive_expiry=2.0)  # the development server drops idle connections
        return connections.http_client(self.url, timeout=self._timeout_s, limits=limits)

    @property
    def legacy_token(self) -> bool:
        """Return whether the key is a legacy token, which Label Studio refuses unless its organization allows it."""
        return self._token_client().jwt_token_type(self._api_key) is None

    def authorization(self) -> str:
        """Return the Authorization header for other code's requests; LabelStudioError where there is no valid token."""
        try:
            return self._authorization()
        except _Busy as error:
            raise LabelStudioError(f"Label Studio answered {error.answer.status_code} to a token's refresh.") from None
        except connections.FAILURES as error:
            raise not_reached(error, self.url) from error

    def not_label_studio(self, unknown: str) -> NotLabelStudio:
        """Return the error of a server whose answer shows that it does not know something that Label Studio has."""
        return NotLabelStudio(f"{connections.shown_url(self.url)} is not a Label Studio: it does not know {unknown}.")

    def close(self) -> None:
        """Close the connections."""
        if "_http" in self.__dict__:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        timeout_s: float | None = None,
    ) -> Any:
        """Send one request and return the decoded JSON, None for an empty response; all but POST may be sent twice.

        `files` are sent as a form: field -> (name of the file, content).
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: _should_retry(error, repeatable=method != "POST")),
            wait=_wait,
            stop=tenacity.stop_after_attempt(self._tries),
            sleep=self._sleep,
            reraise=True,
        )
        what, url = f"{method} {path}", self.url + path.lstrip("/")
        timeout = httpx.USE_CLIENT_DEFAULT if timeout_s is None else timeout_s
        try:
            request = self._http.build_request(method, url, params=query, json=body, files=files, timeout=timeout)
            answer: httpx.Response = retrying(self._send_once, request)
        except _Busy as error:
            answer = error.answer
        except connections.FAILURES as error:
            raise not_reached(error, self.url) from error
        return self._read(answer, what)

    def _send_once(self, request: httpx.Request) -> httpx.Response:
        answer = self._attempt(request)
        if answer.status_code == HTTPStatus.UNAUTHORIZED and not self.legacy_token:
            self._tokens = None  # the access token may have expired early: get a new one, once
            answer = self._attempt(request)
        if answer.status_code in _BUSY:
            raise _Busy(answer)
        return answer

    def _attempt(self, request: httpx.Request) -> httpx.Response:
        request.headers["Authorization"] = self._authorization()
        return self._exchange(request)

    def _exchange(self, request: httpx.Request) -> httpx.Response:
        """Send a request; NotLabelStudio where the answer shows that the address leads elsewhere."""
        answer = self._http.send(request)
        check_answer(answer, self.url)
        return answer

    def _token_client(self) -> Any:
        if self._tokens is None:
            # reason: the SDK takes half a second to import
            from label_studio_sdk.core.api_error import ApiError
            from label_studio_sdk.tokens.client_ext import TokensClientExt

            # stores, checks and locks tokens; its own refresh warns, and fails on a web page
            class Tokens(TokensClientExt):
                def refresh(self, refresh_token: str | None = None) -> Any:
                    return owner._refresh(refresh_token or owner._api_key)

            owner = self
            try:
                self._tokens = Tokens(self.url, self._api_key)
            except ApiError as error:  # the token has expired
                raise _token_error(error.status_code) from None
        return self._tokens

    def _refresh(self, token: str) -> _Access:
        request = self._http.build_request("POST", f"{self.url}api/token/refresh/", json={"refresh": token})
        answer = self._exchange(request)
        if answer.status_code in _BUSY:
            raise _Busy(answer)
        body = json_or_none(answer)
        is_known = isinstance(body, dict) and answer.status_code not in NO_SUCH_PATH
        if not is_known or (answer.is_success and "access" not in body):
            raise self.not_label_studio("the refresh of a token")
        if not answer.is_success:
            raise _token_error(answer.status_code, self._clean(_sentence(body)))
        return _Access(str(body["access"]))

    def _authorization(self) -> str:
        return f"Token {self._api_key}" if self.legacy_token else f"Bearer {self._token_client().api_key}"

    def _read(self, answer: httpx.Response, what: str) -> Any:
        if answer.is_success and not answer.content:
            return None
        try:
            body = answer.json()
        except ValueError:
            body = None
            if answer.is_success or answer.is_redirect or answer.status_code == HTTPStatus.NOT_FOUND:
                reason = f"Label Studio answered {what} with a page instead of JSON (HTTP {answer.status_code})."
                raise NotLabelStudio(reason, status=answer.status_code) from None
        if answer.is_success:
            return body
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            raise _token_error(answer.status_code, self._clean(_sentence(body)))
        reason = self._clean(_sentence(body)) or "it sent a page instead of a reason"
        hint = _FAILED_HINT if answer.is_server_error else ""
        if body is None and (proxy := connections.environment_proxy(self.url)) is not None:
            hint = f"The page may be one of {proxy}; what needs no proxy stands in NO_PROXY."
        if answer.is_server_error:
            failed = f"Label Studio failed at {what} (HTTP {answer.status_code}): {reason}"
            raise LabelStudioError(failed, hint=hint, status=answer.status_code)
        refusal = NotFound if answer.status_code == HTTPStatus.NOT_FOUND else LabelStudioError
        refused = f"Label Studio refused {what} (HTTP {answer.status_code}): {reason}"
        raise refusal(refused, hint=hint, status=answer.status_code)

    def _clean(self, text: str) -> str:
        return _TAG.sub("", text).replace(self._api_key, "***").strip()[:300]


def project_number(project: str) -> int:
    """Return a project id as a number; LabelStudioError for anything else, because the id becomes part of a path."""
    if not (project.isascii() and project.isdigit()):
        raise LabelStudioError(
            f"{project!r} is not a project id; wanted a number such as 12.",
            hint="It is in the project's address in Label Studio: /projects/12/.",
        )
    return int(project)


def json_or_none(answer: httpx.Response) -> Any:
    """Return the JSON of a response; None where it is something else."""
    try:
        return answer.json()
    except ValueError:
        return None


def as_object(body: Any) -> Json:
    """Return a response that is a JSON object; LabelStudioError for anything else."""
    if not isinstance(body, dict):
        raise LabelStudioError(f"Label Studio answered with a {type(body).__name__}, wanted an object.")
    return body


def not_reached(error: Exception, url: str) -> LabelStudioError:
    """Return the error of a request that Label Studio did not answer: why, and the remedy as hint."""
    failure = connections.describe_failure(error, url, setting=_SETTING)
    return LabelStudioError(f"Label Studio is not reached: {failure.what}.", hint=failure.fix)


def check_answer(answer: httpx.Response, url: str) -> None:
    """Raise NotLabelStudio where an answer shows that `url` is not Label Studio's own address."""
    status, location = answer.status_code, answer.headers.get("Location", "")
    text = answer.text[:2000] if status == HTTPStatus.BAD_REQUEST else ""
    failure = connections.describe_answer(status, text, location, str(answer.url), setting=_SETTING, base=url)
    if failure is not None:
        raise NotLabelStudio(f"{failure.what} (HTTP {status}).", hint=failure.fix, status=status)


def _should_retry(error: BaseException, *, repeatable: bool) -> bool:
    if connections.is_certificate_refused(error):
        return False  # it stays the same
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return True  # nothing was sent
    if isinstance(error, _Busy):
        return repeatable or error.answer.status_code == HTTPStatus.TOO_MANY_REQUESTS
    if isinstance(error, httpx.ReadTimeout):
        return False  # silence for the whole limit: another try would wait as long
    return repeatable and isinstance(error, httpx.TransportError)


def _wait(state: tenacity.RetryCallState) -> float:
    failure = state.outcome.exception() if state.outcome is not None else None
    retry_after = failure.answer.headers.get("Retry-After", "") if isinstance(failure, _Busy) else ""
    if retry_after.isdigit():
        return min(float(retry_after), _MAX_WAIT_S)
    return tenacity.wait_random_exponential(multiplier=0.2, max=_MAX_WAIT_S)(state)


def _sentence(body: Any) -> str:
    """Return the reason in an error body: `detail`, or the messages of its fields."""
    if not isinstance(body, dict):
        return str(body)[:300] if isinstance(body, (str, list)) else ""
    problems = body.get("validation_errors")
    if isinstance(problems, dict) and problems:
        return "; ".join(f"{name}: {_flat(message)}" for name, message in problems.items())
    return _flat(body.get("detail") or problems or body.get("error") or body)


def _flat(message: Any) -> str:
    return " ".join(map(str, message)) if isinstance(message, list) else str(message)


def _token_error(status: int | None, reason: str = "") -> LabelStudioError:
    return LabelStudioError(
        f"Label Studio does not accept the access token{f' ({reason})' if reason else ''}.",
        hint=f"{_NEW_KEY_HINT} Legacy tokens work only where the organization allows them.",
        status=status,
    )
