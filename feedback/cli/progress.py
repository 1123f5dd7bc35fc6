"""What a command is doing, as a line on the terminal: for every command that takes more than a second."""

from __future__ import annotations

import sys
import threading
import time
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING

from feedback.cli.terminal import make_console
from ml_backend.printable import PrintableStream

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_AFTER_S = 1.0  # a command that is done by then needs no line
_shown: ContextVar[CommandProgress | None] = ContextVar("command_progress", default=None)


def report_progress(text: str, done: int | None = None, total: int | None = None) -> None:
    """Show what the running command is doing, and how much of it is done; nothing where there is no terminal."""
    if (progress := _shown.get()) is not None:
        progress.report(text, done, total)


class CommandProgress:
    """A line with the time passed, on standard error while it is a terminal; it goes as soon as something is printed.

    The first output takes the line away for good, because a question may follow, unless the command reports again.
    """

    def __init__(self, text: str, *, after_s: float = _AFTER_S) -> None:
        self._text, self._after_s = text, after_s
        self._done: int | None = None
        self._total: int | None = None
        self._lock = threading.RLock()
        self._bars: Progress | None = None
        self._bar: TaskID | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> CommandProgress:
        if sys.stderr.isatty():
            self._started = time.monotonic()
            for stream in self._streams():
                stream.before_write = self.hide
            self._timer = threading.Timer(self._after_s, self._show_unless_hidden)
            self._timer.daemon = True
            self._timer.start()
            self._token = _shown.set(self)
        return self

    def __exit__(self, *_error: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._timer is not None:
            self.hide()
            for stream in self._streams():
                stream.before_write = None
            _shown.reset(self._token)

    def report(self, text: str, done: int | None, total: int | None) -> None:
        """Change the line."""
        with self._lock:
            self._text, self._done, self._total = text, done, total
            if self._bars is not None and self._bar is not None:
                self._bars.update(self._bar, description=text, completed=done or 0, total=total)
            elif time.monotonic() - self._started > self._after_s:
                self._show()

    def hide(self) -> None:
        """Take the line away, or see to it that it does not come."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            bars, self._bars = self._bars, None
            if bars is not None:
                bars.stop()

    def _show_unless_hidden(self) -> None:
        with self._lock:
            if self._timer is not None and not self._timer.finished.is_set():
                self._show()

    def _show(self) -> None:
        # reason: rich takes 50 ms to import, and most commands are done before
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn()
        bars = Progress(
            *columns, console=make_console(errors=True), transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._bar = bars.add_task(self._text, completed=self._done or 0, total=self._total)
        bars.start()
        self._bars = bars

    @staticmethod
    def _streams() -> list[PrintableStream]:
        return [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, PrintableStream)]
