"""What evidence refuses to compute; kept apart so that every file here may raise it."""

from __future__ import annotations

from feedback.errors import FeedbackError


class EvidenceError(FeedbackError):
    """Counts, shares or levels that cannot be: more errors than rows, a share outside (0, 1)."""


def share(value: float, name: str) -> float:
    """Give the value back if it lies strictly between 0 and 1; EvidenceError names it otherwise."""
    if not 0.0 < value < 1.0:
        raise EvidenceError(f"{name} is {value}, wanted a share between 0 and 1.")
    return value
