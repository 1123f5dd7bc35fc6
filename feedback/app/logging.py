"""Logs on stderr, without control characters; lines that repeat within a second are written once with their number."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

from feedback.settings import Settings
from ml_backend.printable import PrintableFormatter, make_streams_printable

_QUIET_S = 1.0
_MOST_LINES = 100  # different lines that are remembered


class RepeatFilter(logging.Filter):
    """Drops a line that was written within the last second: reports of a full disk must not fill it further."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lines: dict[tuple[str, int, str], tuple[float, int]] = {}  # -> when written, and how often since

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a line; the next written line says how many were dropped."""
        message = record.getMessage()
        key, now_s = (record.name, record.levelno, message), self._clock()
        written_s, times = self._lines.get(key, (-_QUIET_S, 0))
        if now_s - written_s < _QUIET_S:
            self._lines[key] = (written_s, times + 1)
            return False
        if len(self._lines) >= _MOST_LINES:
            self._lines.clear()
        self._lines[key] = (now_s, 0)
        if times:
            record.msg, record.args = f"{message} (and {times} more like this)", ()
        return True


def log_to_stderr(settings: Settings) -> None:
    """Set up logging for one of our processes; loggers of libraries write warnings only."""
    make_streams_printable()  # also for what no logger writes, such as the traceback of a thread
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(RepeatFilter())
    handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.captureWarnings(capture=True)
    for name in ("gunicorn.error", "gunicorn.access"):  # gunicorn has set them up before
        for gunicorn_handler in logging.getLogger(name).handlers:
            gunicorn_handler.setFormatter(handler.formatter)
    for name in ("feedback", "ml_backend", "sampling"):
        logging.getLogger(name).setLevel(settings.log_level.upper())
