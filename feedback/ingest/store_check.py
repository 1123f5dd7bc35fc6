"""Whether the service at our public address has the same store as this process, asked by the way that webhooks take."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx

from feedback.settings import Settings
from feedback.store import Store, describe_place
from ml_backend.app.security import UNCOUNTED
from ml_backend.connections import FAILURES, describe_answer, describe_failure, http_client
from ml_backend.labelstudio.doctor import Finding
from ml_backend.labelstudio.parsing import SECRET_HEADER
from ml_backend.labelstudio.transport import json_or_none

ACTION = "HITL_STORE_CHECK"  # no event of Label Studio has this name
OTHER_STORE = "other store"  # the name of the finding
_SAME_STORE = (
    "Give both the same HITL_DATA_DIR, HITL_DATABASE_URL and HITL_WEBHOOK_SECRET; `hitl serve` prints its store at its "
    "start."
)
_QUESTION = re.compile(r"[0-9a-f]{32}")
_TIMEOUT_S = 3.0
_SECRETS_AGE_S = 1.1  # after so long, a web process knows a secret that was made just now


def answer_store_check(store: Store, body: Mapping[str, Any]) -> dict[str, str]:
    """Prove to a process that this one has its store: sign the question by the key that it has just put there.

    A copy of the store lacks that key, and the key never leaves the store.
    """
    question = str(body.get("question"))
    key = store.secrets.get_secret(f"{ACTION} {question}") if _QUESTION.fullmatch(question) else None
    return {"status": OTHER_STORE} if key is None else {"status": "ok", "signature": _sign(key, question)}


def check_store_of_service(settings: Settings, store: Store, *, is_secret_new: bool = False) -> list[Finding]:
    """Ask the service at our public address to prove that it has this store; return what is wrong, [] for nothing.

    The question goes to /webhook with the secret that webhooks carry, so what refuses it would refuse webhooks. Where
    that secret may be new, a refusal is asked again a second later, when the service has read it.
    """
    url, question, key = f"{settings.url}/webhook", secrets.token_hex(16), secrets.token_hex(32)
    store.secrets.save_secret(f"{ACTION} {question}", key)
    try:
        answer = _ask(url, settings, store, question)
        if is_secret_new and answer.status_code == HTTPStatus.UNAUTHORIZED:
            time.sleep(_SECRETS_AGE_S)
            answer = _ask(url, settings, store, question)
    except FAILURES as error:
        failure = describe_failure(error, url, setting="HITL_PUBLIC_URL", proxied=False)
        what = f"the web process does not answer at {settings.url}: {failure.what}."
        fix = failure.fix.replace("Start that server", "Start `hitl serve`")
        # with an address of its own, Label Studio may reach it although this command does not
        return [Finding("service not reached", "error", what, fix, stops=not settings.public_url)]
    finally:
        store.secrets.delete_secret(f"{ACTION} {question}")
    body = json_or_none(answer)
    if isinstance(body, dict) and hmac.compare_digest(str(body.get("signature")), _sign(key, question)):
        return []
    if not isinstance(body, dict) or not (answer.status_code == HTTPStatus.UNAUTHORIZED or body.get("status")):
        what = f"{url} does not answer as this service does (HTTP {answer.status_code})."
        fix = "Start `hitl serve`; where Label Studio reaches it by another address, set HITL_PUBLIC_URL."
        text, location = answer.text[:2000], answer.headers.get("Location", "")
        base = f"{settings.url}/"
        if other := describe_answer(answer.status_code, text, location, url, setting="HITL_PUBLIC_URL", base=base):
            what, fix = f"{other.what} (HTTP {answer.status_code}).", other.fix
        return [Finding("service not reached", "error", what, fix, stops=not settings.public_url)]
    here = describe_place(settings.store_url)
    what = f"the service at {settings.url} works on another store than this command, whose store is {here}."
    return [Finding(OTHER_STORE, "error", what, _SAME_STORE)]


def _ask(url: str, settings: Settings, store: Store, question: str) -> httpx.Response:
    body = {"action": ACTION, "question": question}
    secret = next(iter(settings.secrets), store.secrets.get_secret("webhook"))
    headers = {SECRET_HEADER: secret} if secret else {}
    with http_client(url, proxied=False, timeout=_TIMEOUT_S) as client:
        return client.post(f"{url}?{UNCOUNTED}", json=body, headers=headers)


def _sign(key: str, question: str) -> str:
    return hmac.new(key.encode(), question.encode(), hashlib.sha256).hexdigest()
