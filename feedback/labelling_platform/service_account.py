"""The service account: the Label Studio user that we write as, created once, its token kept in the store."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feedback.store import Store
    from ml_backend.labelstudio.accounts import Account
    from ml_backend.labelstudio.client import Client

_TRIES = 4  # after lost answers: each finds more done


@dataclass(frozen=True, slots=True)
class Bot:
    """Our own user of Label Studio; its answers are never votes."""

    id: int
    token: str = field(repr=False)


def find_bot(store: Store, label_studio_url: str) -> Bot | None:
    """Return the bot that was made for this Label Studio; None where there is none."""
    kept = _read(store, label_studio_url)
    return Bot(kept["id"], kept["token"]) if "token" in kept else None


def make_bot(store: Store, client: Client, label_studio_url: str) -> Bot | None:
    """Create the bot; None where sign-up by invitation is closed, and we write with the token of the settings.

    Its login is stored: after a lost answer, the next try finds the user that was created. Where Label Studio refuses
    its token, because it has expired or was revoked, it logs in for another one.
    """
    from ml_backend.errors import LabelStudioError
    from ml_backend.labelstudio.accounts import check_token, create_bot, log_in, make_bot_login

    kept = _read(store, label_studio_url)
    if (known := find_bot(store, label_studio_url)) is not None:
        try:
            check_token(label_studio_url, known.token)
        except LabelStudioError as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                return known
            renewed = log_in(label_studio_url, kept["email"], kept["password"], replace_token=True)
            return _save(store, label_studio_url, renewed)
        return known
    kept = kept or dict(zip(("email", "password"), make_bot_login(), strict=True))
    store.secrets.save_secret(_name(label_studio_url), json.dumps(kept))
    account = None
    for _ in range(_TRIES):
        try:
            account = create_bot(label_studio_url, client.invitation, (kept["email"], kept["password"]))
            break
        except LabelStudioError as error:
            if not error.is_doubtful:
                break
    if account is None:
        return None
    return _save(store, label_studio_url, account)


def _save(store: Store, label_studio_url: str, account: Account) -> Bot:
    store.secrets.save_secret(_name(label_studio_url), json.dumps(asdict(account)))
    return Bot(account.id, account.token)


def _read(store: Store, label_studio_url: str) -> dict[str, Any]:
    """Return what is stored: the login of a bot, and its id and token where it has them yet."""
    kept = store.secrets.get_secret(_name(label_studio_url))
    return dict(json.loads(kept)) if kept else {}


def _name(label_studio_url: str) -> str:
    return f"bot {label_studio_url.rstrip('/')}"
