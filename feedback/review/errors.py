"""The errors of review."""

from __future__ import annotations

from feedback.errors import FeedbackError


class NoSuchMove(FeedbackError):
    """An event that the state machine does not allow in the state of the case."""


class CaseMoved(FeedbackError):
    """The case was moved by somebody else since it was read."""

    hint = "Nothing was changed. Look at the case again."


class TierError(FeedbackError):
    """The review project of a tier cannot be created or updated."""
