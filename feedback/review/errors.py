"""What review refuses."""

from __future__ import annotations

from feedback.errors import FeedbackError


class NoSuchMove(FeedbackError):
    """A case was about to make a move that the table does not have."""


class CaseMoved(FeedbackError):
    """Somebody else has moved the case since it was read; read it again, and decide again."""

    hint = "Nothing was changed. Look at the case again."


class TierError(FeedbackError):
    """A tier cannot be made or kept: its project, its label config or its clock."""
