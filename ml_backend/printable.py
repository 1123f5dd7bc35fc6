"""Texts of other people in terminals and logs: their control characters are shown, and never obeyed."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from typing import Any, TextIO, cast

# C1 controls with DEL; line separators; what changes the reading direction, marks too; halves of a character
NOT_ASCII_CONTROLS = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff"
_CONTROLS = f"\x00-\x1f{NOT_ASCII_CONTROLS}"
_IN_A_LINE = re.compile(f"[{_CONTROLS}]")
_IN_LINES = re.compile(f"(?![\t\n])[{_CONTROLS}]")
_IN_A_TERMINAL = re.compile(f"(?![\t\n])(?!\x1b\\[[0-9;]*m)[{_CONTROLS}]")  # colours stay


def printable(text: object, *, lines: bool = False) -> str:
    r"""Return a text for a terminal or a log: each control character is replaced by its escape, as in a program.

    With `lines` line feeds and tabs stay; elsewhere a line feed in a title could forge a line of ours.

    >>> printable("\x1b]0;owned\x07 \u202etxt.exe\n"), printable("a\n\tb\r", lines=True)
    ('\\x1b]0;owned\\x07 \\u202etxt.exe\\n', 'a\n\tb\\r')
    """
    found = str(text)
    if found.isascii() and found.isprintable():  # most texts
        return found
    return (_IN_LINES if lines else _IN_A_LINE).sub(_escape, found)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


class PrintableStream:
    """A text stream without control characters: the last barrier, behind every print, traceback and library.

    On a terminal codes for colours pass, because command lines print them; whoever prints texts of other people cleans
    them before. `raw` is the stream itself, `before_write` is called before anything is written.
    """

    before_write: Callable[[], None] | None = None

    def __init__(self, raw: TextIO) -> None:
        self.raw = raw
        self._unwanted = _IN_A_TERMINAL if raw.isatty() else _IN_LINES

    def write(self, text: str) -> int:
        """Write a text; return its length."""
        self.announce()
        self.raw.write(text if text.isascii() and text.isprintable() else self._unwanted.sub(_escape, text))
        return len(text)

    def announce(self) -> None:
        """Call `before_write`, also for those who write to `raw`."""
        if self.before_write is not None:
            self.before_write()

    def writelines(self, lines: list[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


def make_streams_printable() -> None:
    """Put a `PrintableStream` over standard output and standard error, for everything that this process prints."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or isinstance(stream, PrintableStream):
            continue
        if isinstance(stream, TextIOWrapper):
            with suppress(ValueError, OSError):  # a closed stream; what its encoding lacks is escaped, not an error
                stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, cast(TextIO, PrintableStream(stream)))


class PrintableFormatter(logging.Formatter):
    """Formats log records so that a message is one line, whatever was put into it; only a traceback has several."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the first line of a record."""
        return printable(super().formatMessage(record))

    def formatException(self, ei: logging._SysExcInfoType) -> str:  # noqa: N802 - logging's name
        """Return a traceback."""
        return printable(super().formatException(ei), lines=True)

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """Return a stack."""
        return printable(super().formatStack(stack_info), lines=True)
