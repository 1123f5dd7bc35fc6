"""The errors of ml_backend: one root, each named for what is wrong."""


class BackendError(Exception):
    """The root of all errors that ml_backend raises on purpose."""

    hint = ""  # what to do next, shown after the message
    of_service = False  # True where a service is away, so that no row is the cause (`ml_backend.left_out`)

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint or self.hint


class UnknownName(BackendError):
    """No plug-in, model, version or control has this name."""


class LabelConfigError(BackendError):
    """A label config is not XML, or has no control that can be read."""

    hint = "Open the project's Settings > Labeling Interface; Label Studio validates the config there."


class CodecError(BackendError):
    """A result region does not have the fields of its type; other regions are not affected."""


class BodyError(BackendError):
    """A request body does not follow the protocol (HTTP 400)."""


class WrongContentType(BackendError):
    """A request body is not sent as JSON (HTTP 415)."""


class TooLarge(BackendError):
    """A request exceeds a limit (HTTP 413); `limit` is "bytes", "depth", "values" or "tasks", as in /metrics."""

    def __init__(self, message: str, *, limit: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.limit = limit


class NotTrained(BackendError):
    """There is too little to learn from: fewer than two classes, or no row that can be read."""


class ArtefactError(BackendError):
    """A stored model is truncated, altered, or contains a type outside the allow-list; it is not loaded."""


class LabelStudioError(BackendError):
    """Label Studio refused a request or could not be reached."""

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status

    @property
    def of_service(self) -> bool:  # type: ignore[override]
        """Return whether Label Studio is away, busy, or refuses us altogether."""
        return not self.is_refusal or self.status in (401, 403, 408, 429)

    @property
    def is_refusal(self) -> bool:
        """Return whether Label Studio refused the request itself (HTTP 4xx), so that repeating it is useless."""
        return self.status is not None and 400 <= self.status < 500

    @property
    def is_doubtful(self) -> bool:
        """Return whether Label Studio may have done the work: no answer, a page, a time limit (408), or HTTP 5xx.

        HTTP 409 is doubtful, too: what we wanted to create exists already.
        """
        return not self.is_refusal or self.status in (408, 409)


class NotFound(LabelStudioError):
    """Label Studio has no such project, task, annotation or prediction (HTTP 404)."""


class SettingsError(BackendError):
    """An environment variable or setting has an unusable value."""
