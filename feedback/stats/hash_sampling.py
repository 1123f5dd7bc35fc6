"""Keyed draws: every random share of the product, the same on every host and for ever."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Literal

Role = Literal["tune", "judge", "certify"]

_BITS = 53  # what a float holds exactly; more would round up to 1.0
_TUNE, _JUDGE = 0.3, 0.6  # ends of the shares: tune 30 %, judge 30 %, certify 40 %


def draw(secret: str, purpose: str, unit: str) -> float:
    """Give the number that this unit draws for this purpose, uniform in [0, 1).

    HMAC-SHA256 keyed by the secret, so that nobody can choose tasks by their draw; purposes are independent.
    Purposes in use: audit, role, blind, explore, gold, canary, trial, overlap.

    >>> round(draw("key", "audit", "task 7"), 6)
    0.591633
    >>> draw("key", "audit", "task 7") == draw("key", "audit", "task 7")
    True
    """
    return next(iter(draws(secret, purpose, (unit,))))


def draws(secret: str, purpose: str, units: Iterable[str]) -> list[float]:
    """The same for many units, in their order; about 500,000 a second."""
    # the purpose's length first: ("ab", "c") and ("a", "bc") must not be the same draw
    keyed = hmac.new(_bytes(secret), f"{len(purpose)}:{purpose}:".encode(), hashlib.sha256)
    drawn = []
    for unit in units:
        one = keyed.copy()
        one.update(_bytes(unit))
        drawn.append((int.from_bytes(one.digest()[:8], "big") >> (64 - _BITS)) / (1 << _BITS))
    return drawn


def in_audit(secret: str, unit: str, share: float) -> bool:
    """Tell whether a unit belongs to the audit stream; a larger share keeps every unit of a smaller one.

    >>> in_audit("key", "task 7", 0.0), in_audit("key", "task 7", 1.0)
    (False, True)
    """
    return draw(secret, "audit", unit) < share


def role(secret: str, unit: str) -> Role:
    """Give the audit role of a unit: tune 30 %, judge 30 %, certify 40 %, whatever the audit share.

    >>> role("key", "task 7") in ("tune", "judge", "certify")
    True
    """
    drawn = draw(secret, "role", unit)
    return "tune" if drawn < _TUNE else "judge" if drawn < _JUDGE else "certify"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
