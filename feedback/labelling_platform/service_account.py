"""The service account: the Label Studio user that we write as, created once, its token kept in the store."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from feedback.store import Store
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
    return Bot(**kept) if "token" in kept else None


def make_bot(store: Store, client: Client, label_studio_url: str) -> Bot | None:
    """Create the bot; None where sign-up by invitation is closed, and we write with the token of the settings.

    Its login is stored until it has a token: after a lost answer, the next try finds the user that was created.
    """
    from ml_backend.errors import LabelStudioError
    from ml_backend.labelstudio.accounts import create_bot, make_bot_login

    if (known := find_bot(store, label_studio_url)) is not None:
        return known
    kept = _read(store, label_studio_url) or dict(zip(("email", "password"), make_bot_login(), strict=True))
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
    store.secrets.save_secret(_name(label_studio_url), json.dumps({"id": account.id, "token": account.token}))
    return Bot(account.id, account.token)


def _read(store: Store, label_studio_url: str) -> dict[str, Any]:
    """Return what is stored: id and token, or the login of a bot that has no token yet."""
    kept = store.secrets.get_secret(_name(label_studio_url))
    return dict(json.loads(kept)) if kept else {}


def _name(label_studio_url: str) -> str:
    return f"bot {label_studio_url.rstrip('/')}"
