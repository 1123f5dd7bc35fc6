"""Whether the service at our public address has the same store as this process, asked by the way that webhooks take."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx

from feedback.settings import Settings
from feedback.store import Store, describe_place
from ml_backend.app.security import UNCOUNTED
from ml_backend.connections import FAILURES, describe_failure, http_client
from ml_backend.labelstudio.doctor import Finding
from ml_backend.labelstudio.parsing import SECRET_HEADER
from ml_backend.labelstudio.transport import json_or_none

ACTION = "HITL_STORE_CHECK"  # no event of Label Studio has this name
OTHER_STORE = "other store"  # the name of the finding
_SAME_STORE = (
    "Give both the same HITL_DATA_DIR, HITL_DATABASE_URL and HITL_WEBHOOK_SECRET; `hitl serve` prints its store at its "
    "start."
)
_TIMEOUT_S = 3.0
_SECRETS_AGE_S = 1.1  # after so long, a web process knows a secret that was made just now


def answer_store_check(store: Store, body: Mapping[str, Any]) -> dict[str, str]:
    """Prove to a process with the same store that this one has it, too; only a question that it has signed is answered.

    Both signatures are HMAC-SHA256 of the question's random text, by a key that lives in the store and never leaves it.
    """
    nonce, signature = (str(body.get(name, ""))[:100] for name in ("nonce", "signature"))
    if not hmac.compare_digest(signature.encode(), _sign(store, "ask", nonce).encode()):
        return {"status": OTHER_STORE}
    return {"status": "ok", "signature": _sign(store, "answer", nonce)}


def check_store_of_service(settings: Settings, store: Store, *, is_secret_new: bool = False) -> list[Finding]:
    """Ask the service at our public address to prove that it has this store; return what is wrong, [] for nothing.

    The question goes to /webhook with the secret that webhooks carry, so what refuses it would refuse webhooks. Where
    that secret may be new, a refusal is asked again a second later, when the service has read it.
    """
    url, nonce = f"{settings.url}/webhook", secrets.token_hex(16)
    try:
        answer = _ask(url, settings, store, nonce)
        if is_secret_new and answer.status_code == HTTPStatus.UNAUTHORIZED:
            time.sleep(_SECRETS_AGE_S)
            answer = _ask(url, settings, store, nonce)
    except FAILURES as error:
        failure = describe_failure(error, url, setting="HITL_PUBLIC_URL", proxied=False)
        what = f"the web process does not answer at {settings.url}: {failure.what}."
        # with an address of its own, Label Studio may reach it although this command does not
        fix = f"Start `hitl serve` if it does not run. {failure.fix}"
        return [Finding("service not reached", "error", what, fix, stops=not settings.public_url)]
    body = json_or_none(answer)
    if isinstance(body, dict) and hmac.compare_digest(str(body.get("signature")), _sign(store, "answer", nonce)):
        return []
    if not isinstance(body, dict) or not (answer.status_code == HTTPStatus.UNAUTHORIZED or body.get("status")):
        what = f"{url} does not answer as this service does (HTTP {answer.status_code})."
        fix = "Start `hitl serve`; where Label Studio reaches it by another address, set HITL_PUBLIC_URL."
        return [Finding("service not reached", "error", what, fix, stops=not settings.public_url)]
    here = describe_place(settings.store_url)
    what = f"the service at {settings.url} works on another store than this command, whose store is {here}."
    return [Finding(OTHER_STORE, "error", what, _SAME_STORE)]


def _ask(url: str, settings: Settings, store: Store, nonce: str) -> httpx.Response:
    body = {"action": ACTION, "nonce": nonce, "signature": _sign(store, "ask", nonce)}
    secret = next(iter(settings.secrets), store.secrets.get_secret("webhook"))
    headers = {SECRET_HEADER: secret} if secret else {}
    with http_client(url, proxied=False, timeout=_TIMEOUT_S) as client:
        return client.post(f"{url}?{UNCOUNTED}", json=body, headers=headers)


def _sign(store: Store, purpose: str, nonce: str) -> str:
    key = store.secrets.get_or_create_secret("store")
    return hmac.new(key.encode(), f"{purpose} {nonce}".encode(), hashlib.sha256).hexdigest()
