"""The service account: the Label Studio user that we write as, created once, its token kept in the store."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from feedback.store import Store
    from ml_backend.labelstudio.client import Client


@dataclass(frozen=True, slots=True)
class Bot:
    """Our own user of Label Studio; its answers are never votes."""

    id: int
    token: str = field(repr=False)


def find_bot(store: Store, label_studio_url: str) -> Bot | None:
    """Return the bot that was made for this Label Studio; None where there is none."""
    kept = store.secrets.get_secret(_name(label_studio_url))
    return Bot(**json.loads(kept)) if kept else None


def make_bot(store: Store, client: Client, label_studio_url: str) -> Bot | None:
    """Create the bot; None where sign-up by invitation is closed, and we write with the token of the settings."""
    from ml_backend.errors import LabelStudioError
    from ml_backend.labelstudio.accounts import create_bot

    if (known := find_bot(store, label_studio_url)) is not None:
        return known
    try:
        account = create_bot(label_studio_url, client.invitation())
    except LabelStudioError:
        return None
    store.secrets.save_secret(_name(label_studio_url), json.dumps({"id": account.id, "token": account.token}))
    return Bot(account.id, account.token)


def _name(label_studio_url: str) -> str:
    return f"bot {label_studio_url.rstrip('/')}"
