"""Logs on stderr: one line an event, and of lines that repeat within a second only the first and their number."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable

from feedback.settings import Settings

_QUIET_S = 1.0
_MOST = 100  # different lines that are remembered


class Repeats(logging.Filter):
    """Drops what was said within the last second: a full disk must not be filled with the news of it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._said: dict[tuple[str, int, str], tuple[float, int]] = {}  # -> when, and how often since

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is to be written; it says how many like it were not."""
        message = record.getMessage()
        key, now_s = (record.name, record.levelno, message), self._clock()
        answered_s, times = self._said.get(key, (-_QUIET_S, 0))
        if now_s - answered_s < _QUIET_S:
            self._said[key] = (answered_s, times + 1)
            return False
        if len(self._said) >= _MOST:
            self._said.clear()
        self._said[key] = (now_s, 0)
        if times:
            record.msg, record.args = f"{message} (and {times} more like this)", ()
        return True


def log_to_stderr(settings: Settings) -> None:
    """Set up logging for a process of ours; loggers of libraries speak up only for warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(Repeats())
    logging.basicConfig(
        handlers=[handler], level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    for name in ("feedback", "ml_backend", "sampling"):
        logging.getLogger(name).setLevel(settings.log_level.upper())
