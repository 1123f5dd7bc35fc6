"""Whom Label Studio knows: it checks tokens and passwords, and says what people are called."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.accounts import Who, check_password, check_token
from ml_backend.labelstudio.client import Client

_KEPT_S = 300.0
_PATIENCE_S = 3.0  # a page is not worth more; without names it shows numbers
_log = logging.getLogger(__name__)


class Accounts(Protocol):
    """What the pages ask of Label Studio; tests have a fake."""

    def by_password(self, email: str, password: str) -> Who:
        """Give whose password this is; NotThem where it is nobody's, LabelStudioError where nobody can tell."""
        ...

    def by_token(self, token: str) -> Who:
        """Give whose token this is; the same errors."""
        ...

    def is_owner(self, who: Who) -> bool:
        """Whether this is the user whose token the service has."""
        ...

    def names(self) -> Mapping[int, str]:
        """Give what people are called, by id; {} where Label Studio does not answer."""
        ...


class LabelStudioAccounts:
    """The accounts of one Label Studio. `api_key` is the service's own token; without it there is no owner."""

    def __init__(self, url: str, api_key: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._url, self._api_key, self._clock = url, api_key, clock
        self._lock = threading.Lock()
        self._asked_s = float("-inf")
        self._names: Mapping[int, str] = {}

    def by_password(self, email: str, password: str) -> Who:
        """Let Label Studio check an e-mail address and password."""
        return check_password(self._url, email, password)

    def by_token(self, token: str) -> Who:
        """Let Label Studio check a token."""
        return check_token(self._url, token)

    def is_owner(self, who: Who) -> bool:
        """Ask Label Studio whose our own token is; asked at each sign-in, because a token may be exchanged."""
        if not self._api_key:
            return False
        try:
            return check_token(self._url, self._api_key).id == who.id
        except LabelStudioError as error:
            _log.warning("whose our own token is could not be asked: %s", error)
            return False

    def names(self) -> Mapping[int, str]:
        """Give people's names or e-mail addresses, asked once in five minutes."""
        now_s = self._clock()
        if not self._api_key or 0 <= now_s - self._asked_s < _KEPT_S:
            return self._names
        with self._lock:
            if 0 <= now_s - self._asked_s < _KEPT_S:
                return self._names
            self._asked_s = now_s  # also where it fails: a page must not wait for it each time
            try:
                with Client(self._url, self._api_key, timeout_s=_PATIENCE_S, tries=1) as client:
                    self._names = {int(user["id"]): _name(user) for user in client.users()}
            except (LabelStudioError, KeyError, TypeError, ValueError) as error:
                _log.warning("people's names could not be asked: %s", type(error).__name__)
        return self._names


def _name(user: Mapping[str, object]) -> str:
    full = " ".join(str(user.get(part) or "") for part in ("first_name", "last_name")).strip()
    return full or str(user.get("email") or f"user {user['id']}")
