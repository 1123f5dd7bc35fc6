"""Whether the service at our public address has the same store as this process, asked by the way that webhooks take."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import httpx

from feedback.settings import Settings
from feedback.store import Store, describe_store
from ml_backend.app.security import UNCOUNTED
from ml_backend.connections import FAILURES, describe_answer, describe_failure, http_client, is_name_unknown
from ml_backend.labelstudio.doctor import Finding
from ml_backend.labelstudio.parsing import SECRET_HEADER
from ml_backend.labelstudio.transport import json_or_none

ACTION = "HITL_STORE_CHECK"  # no event of Label Studio has this name
OTHER_STORE = "other store"  # the name of the finding
_SAME_STORE = (
    "Run the command in the folder of `hitl serve`, whose .env both read, or give both the same HITL_DATA_DIR, "
    "HITL_DATABASE_URL and HITL_WEBHOOK_SECRET; `hitl serve` prints its store at its start."
)
_QUESTION = re.compile(r"[0-9a-f]{32}")
_TIMEOUT_S = 3.0
_SECRETS_AGE_S = 1.1  # after so long, a web process knows a secret that was made just now
_KEY_AGE_S = 600.0  # older keys were left by a command that was killed


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
    that secret may be new, a refusal is asked again a second later, when the service has read it. A name that only
    Label Studio knows, such as one of Docker, is no trouble: the service of this machine is asked instead.
    """
    now_s, key = int(time.time()), secrets.token_hex(32)
    question = f"{now_s:08x}{secrets.token_hex(12)}"
    name = f"{ACTION} {question}"
    store.secrets.delete_secrets(f"{ACTION} ", f"{ACTION} {now_s - int(_KEY_AGE_S):08x}")
    store.secrets.save_secret(name, key)
    try:
        try:
            answer = _ask(settings.url, settings, store, question, again=is_secret_new)
        except FAILURES as error:
            if not is_name_unknown(error):
                return [_not_reached(settings, error)]
            with suppress(*FAILURES):
                if _proves(_ask(settings.own_url, settings, store, question, again=is_secret_new), key, question):
                    return _describe_unknown_name(settings, store)
            return [_not_reached(settings, error)]
    finally:
        store.secrets.delete_secrets(name, name)
    if _proves(answer, key, question):
        return []
    url, body = f"{settings.url}/webhook", json_or_none(answer)
    if not isinstance(body, dict) or not (answer.status_code == HTTPStatus.UNAUTHORIZED or body.get("status")):
        what = f"{url} does not answer as this service does (HTTP {answer.status_code})."
        fix = "Start `hitl serve`; where Label Studio reaches it by another address, set HITL_PUBLIC_URL."
        text, location = answer.text[:2000], answer.headers.get("Location", "")
        base = f"{settings.url}/"
        if other := describe_answer(answer.status_code, text, location, url, setting="HITL_PUBLIC_URL", base=base):
            what, fix = f"{other.what} (HTTP {answer.status_code}).", other.fix
        return [Finding("service not reached", "error", what, fix, stops=not settings.public_url)]
    here = describe_store(settings.store_url)
    secret = ", or with another HITL_WEBHOOK_SECRET" if answer.status_code == HTTPStatus.UNAUTHORIZED else ""
    what = f"the service at {settings.url} works on another store than this command, whose store is {here}{secret}."
    return [Finding(OTHER_STORE, "error", what, _SAME_STORE)]


def _not_reached(settings: Settings, error: BaseException) -> Finding:
    failure = describe_failure(error, settings.url, setting="HITL_PUBLIC_URL", proxied=False)
    what, fix = failure.what, failure.fix.replace("Start that server", "Start `hitl serve`")
    if is_name_unknown(error):
        what += f", and no service with this store answers at {settings.own_url}"
        fix = f"Start `hitl serve`, or run the command where it runs. {fix}"
    # with an address of its own, Label Studio may reach it although this command does not
    what = f"the web process does not answer at {settings.url}: {what}."
    return Finding("service not reached", "error", what, fix, stops=not settings.public_url)


def _describe_unknown_name(settings: Settings, store: Store) -> list[Finding]:
    """Find a name that may be a typing error: this machine does not know it, and no webhook has come by it yet."""
    if any(row.arrived_s for row in store.liveness.list_webhook_arrivals()):
        return []
    what = (
        f"this machine does not know the host of {settings.url}; the service answers here, at {settings.own_url}. "
        "No webhook has come yet, so nothing shows that Label Studio knows it."
    )
    fix = "Check that name in HITL_PUBLIC_URL: it may be known to Label Studio only. The first answer ends this."
    return [Finding("name not known here", "warning", what, fix)]


def _ask(url: str, settings: Settings, store: Store, question: str, *, again: bool) -> httpx.Response:
    body = {"action": ACTION, "question": question}
    secret = next(iter(settings.secrets), store.secrets.get_secret("webhook"))
    headers = {SECRET_HEADER: secret} if secret else {}
    with http_client(url, proxied=False, timeout=_TIMEOUT_S) as client:
        answer = client.post(f"{url}/webhook?{UNCOUNTED}", json=body, headers=headers)
        if again and answer.status_code == HTTPStatus.UNAUTHORIZED:
            time.sleep(_SECRETS_AGE_S)
            answer = client.post(f"{url}/webhook?{UNCOUNTED}", json=body, headers=headers)
    return answer


def _proves(answer: httpx.Response, key: str, question: str) -> bool:
    body = json_or_none(answer)
    return isinstance(body, dict) and hmac.compare_digest(str(body.get("signature")), _sign(key, question))


def _sign(key: str, question: str) -> str:
    return hmac.new(key.encode(), question.encode(), hashlib.sha256).hexdigest()
