"""Every error that feedback raises on purpose; one root, each named for the fact."""

from __future__ import annotations


class FeedbackError(Exception):
    """The root: catch this to catch whatever feedback refuses."""

    hint = ""  # what to do next, shown beside the message

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint or self.hint


class EventError(FeedbackError):
    """An event lacks what its natural key needs; it is not appended, its neighbours are."""


class StoreError(FeedbackError):
    """The database cannot be opened, read or written."""

    hint = "Look at HITL_DATA_DIR or HITL_DATABASE_URL: free space, rights, and whether the server answers."


class SchemaError(StoreError):
    """The database is of a revision that this version does not know."""

    hint = "A newer version has written it: upgrade label-studio-hitl, or restore a backup made before."


class ChainBroken(StoreError):
    """The event log was altered: a hash does not follow from its predecessor."""

    hint = "Restore a backup; `hitl store verify` names the first row that does not fit."


class NotStored(StoreError):
    """Something was asked for by a name or number that the store does not hold."""


class LeaseLost(FeedbackError):
    """A job's lease passed to another worker; whatever it was about to write must not be written."""

    hint = "The work runs again elsewhere; nothing is to be done."


class SettingsError(FeedbackError):
    """An environment variable is unknown, of the wrong type, or out of range."""


class PolicyError(FeedbackError):
    """hitl.toml is not TOML, holds an unknown key, or a value out of range."""

    hint = "docs/policy.md lists every key with its range."


class EvaluationError(FeedbackError):
    """A model was about to be judged on rows that it may not be judged on."""


class NotConnected(FeedbackError):
    """A project is asked for that hitl does not know, or Label Studio's address is missing."""

    hint = "Set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY, then run `hitl connect PROJECT`."


class VotesError(FeedbackError):
    """Votes, gold answers or ratings are not what an analysis needs: shapes, columns, or too few of them."""


class RecipeError(FeedbackError):
    """A ready-made project cannot be made from what was given."""


class ServiceError(FeedbackError):
    """One of our own processes did not come up."""
