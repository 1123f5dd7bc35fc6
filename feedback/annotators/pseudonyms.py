"""Pseudonyms of people, the same in every report of one installation."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Hashable


def pseudonym(secret: str, person: Hashable) -> str:
    """Return a short name for a person; without the secret it cannot be traced back.

    >>> pseudonym("key", 7) == pseudonym("key", 7) != pseudonym("other key", 7)
    True
    >>> len(pseudonym("key", 7))
    8
    """
    digest = hmac.new(secret.encode(), f"person:{person}".encode(), hashlib.sha256).hexdigest()
    return f"p-{digest[:6]}"
