"""Every error that ml_backend raises on purpose; one root, each named for the fact."""


class BackendError(Exception):
    """The root: catch this to catch whatever ml_backend refuses."""

    hint = ""  # what to do next, shown beside the message

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint or self.hint


class UnknownName(BackendError):
    """A plug-in, model or strategy was asked for by a name that nothing has."""


class LabelConfigError(BackendError):
    """A label config is not XML, or holds no control that we can read."""

    hint = "Open the project's Settings > Labeling Interface; Label Studio validates the config there."


class CodecError(BackendError):
    """One result region is not what its type promises; the neighbours are unharmed."""


class BodyError(BackendError):
    """A request body is not what the protocol asks for (HTTP 400)."""


class TooLarge(BackendError):
    """A request is beyond a limit (HTTP 413): "bytes", "depth", "values" or "tasks", as metrics name it."""

    def __init__(self, message: str, *, limit: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.limit = limit


class NotTrained(BackendError):
    """There is too little to learn from: fewer than two classes, or no readable row."""


class ArtefactError(BackendError):
    """A stored model is truncated, altered, or holds a type outside our allow-list; it is not loaded."""


class LabelStudioError(BackendError):
    """Label Studio refused a request or could not be reached."""

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class SettingsError(BackendError):
    """An environment variable or setting is not usable."""
