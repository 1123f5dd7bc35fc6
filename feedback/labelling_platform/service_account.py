"""The dedicated user that we write as: made once for each Label Studio, its token kept in the store."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from feedback.store import Store
    from ml_backend.labelstudio.client import Client


@dataclass(frozen=True, slots=True)
class Bot:
    """A user of Label Studio that is us; its answers are never votes."""

    id: int
    token: str = field(repr=False)


def find_bot(store: Store, label_studio_url: str) -> Bot | None:
    """Give the bot that was made for this Label Studio, None where there is none."""
    kept = store.secrets.get_secret(_name(label_studio_url))
    return Bot(**json.loads(kept)) if kept else None


def make_bot(store: Store, client: Client, label_studio_url: str) -> Bot | None:
    """Make the bot where Label Studio lets us; None where sign-up by invitation is closed, so we write as ourselves."""
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
