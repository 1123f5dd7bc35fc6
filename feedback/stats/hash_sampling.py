"""Keyed random draws by hash, the same on every host and at every time."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from typing import Literal

AuditSplit = Literal["tune", "judge", "certify"]

_BITS = 53  # a float holds so many exactly; more would round up to 1.0
_TUNE_END, _JUDGE_END = 0.3, 0.6  # tune 30 %, judge 30 %, certify 40 %


def draw(secret: str, purpose: str, unit: str) -> float:
    """Return the draw of a unit for a purpose, uniform in [0, 1).

    It is HMAC-SHA256 with the secret as key, so nobody can predict it without the secret. Draws for different purposes
    are independent. Purposes in use: audit, role, blind, explore, gold, canary, trial, overlap.

    >>> round(draw("key", "audit", "task 7"), 6)
    0.591633
    >>> draw("key", "audit", "task 7") == draw("key", "audit", "task 7")
    True
    """
    return draws(secret, purpose, (unit,))[0]


def draws(secret: str, purpose: str, units: Iterable[str]) -> list[float]:
    """Return the draws of many units, in their order; about 500,000 per second."""
    # the length of the purpose comes first, so that ("ab", "c") and ("a", "bc") are different draws
    keyed = hmac.new(_bytes(secret), f"{len(purpose)}:{purpose}:".encode(), hashlib.sha256)
    drawn = []
    for unit in units:
        mac = keyed.copy()
        mac.update(_bytes(unit))
        drawn.append((int.from_bytes(mac.digest()[:8], "big") >> (64 - _BITS)) / (1 << _BITS))
    return drawn


def audit_splits(secret: str, units: Iterable[str]) -> list[AuditSplit]:
    """Return the splits of audit units: tune 30 %, judge 30 %, certify 40 %, independent of the share of the audit.

    >>> audit_splits("key", ["task 7"])[0] in ("tune", "judge", "certify")
    True
    """
    drawn = draws(secret, "role", units)
    return ["tune" if share < _TUNE_END else "judge" if share < _JUDGE_END else "certify" for share in drawn]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
