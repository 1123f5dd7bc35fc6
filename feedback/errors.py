"""All errors that feedback raises, under one root."""

from __future__ import annotations


class FeedbackError(Exception):
    """The root of all errors of feedback."""

    hint = ""  # what to do next, shown with the message
    of_service = False  # True where a service is away, so that no row is the cause (`ml_backend.left_out`)

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint or self.hint


class EventError(FeedbackError):
    """An event lacks a part of its natural key. It is not appended; the other events of the batch are."""


class StoreError(FeedbackError):
    """The database cannot be opened, read or written."""

    of_service = True
    hint = "Look at HITL_DATA_DIR or HITL_DATABASE_URL: free space, rights, and whether the server answers."


class SchemaError(StoreError):
    """The database has a schema revision that this version does not know."""

    hint = "A newer version has written it: upgrade label-studio-hitl, or restore a backup made before."


class ChainBroken(StoreError):
    """The event log was altered: a hash does not match the event before it."""

    hint = "Restore a backup; `hitl store verify` names the first row that does not match."


class NotStored(StoreError):
    """The store has nothing under this name or number."""

    of_service = False


class ValueRefused(StoreError):
    """The database does not take a value: it is out of range, of another type, or contradicts another row."""

    of_service = False
    hint = "The row is left out; `hitl status` names it."


class LeaseLost(FeedbackError):
    """The lease of a job passed to another worker; the job must not write any more."""

    of_service = True
    hint = "The job runs again on another worker. Nothing needs to be done."


class NotConfirmed(FeedbackError):
    """A command has to ask before it goes on, and there is no terminal to ask on."""

    hint = "Add --yes to do it without being asked."


class SettingsError(FeedbackError):
    """An environment variable is unknown, of the wrong type, or out of range."""


class PolicyError(FeedbackError):
    """hitl.toml is not TOML, has an unknown key or a value out of range, or cannot be used for the project."""

    hint = "docs/policy.md lists every key with its range."


class EvaluationError(FeedbackError):
    """A model was about to be evaluated on rows that must not evaluate it."""


class NotConnected(FeedbackError):
    """The project is not connected, or the address of Label Studio is missing."""

    hint = "Run `hitl init`, or set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY; then run `hitl connect PROJECT`."


class UnknownProject(NotConnected):
    """No project, or more than one, has this number or title."""

    hint = "Give the number or title of a project."


class VotesError(FeedbackError):
    """Votes, gold answers or ratings have the wrong shape or columns, or are too few for an analysis."""


class FileError(FeedbackError):
    """A file that the command line names cannot be written, or is not what the command reads."""


class RecipeError(FeedbackError):
    """A recipe cannot create a project from the given input."""


class ServiceError(FeedbackError):
    """One of our processes did not start."""
