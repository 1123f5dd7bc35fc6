"""The taker: takes in what webhooks brought, beside the jobs, which may run for minutes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from feedback.errors import FeedbackError

_LOG = logging.getLogger(__name__)
_EVERY_S = 0.1  # a look at an empty inbox costs a tenth of a millisecond
_AWAY_S = 2.0  # after a failure


@contextmanager
def taking_in(take_in: Callable[[], object], *, every_s: float = _EVERY_S, away_s: float = _AWAY_S) -> Iterator[None]:
    """Call `take_in` again and again in a thread until the block ends; a store that is away is tried again later.

    >>> from threading import Event
    >>> called = Event()
    >>> with taking_in(called.set):
    ...     called.wait(5)
    True
    """
    stop = threading.Event()

    def run() -> None:
        wait_s = every_s
        while not stop.wait(wait_s):
            try:
                take_in()
                wait_s = every_s
            except FeedbackError as error:
                _LOG.warning("what webhooks brought cannot be taken in now: %s", error)
                wait_s = away_s
            except Exception:  # noqa: BLE001  # without this thread nothing would be learned any more
                _LOG.exception("what webhooks brought cannot be taken in now")
                wait_s = away_s

    thread = threading.Thread(target=run, name="taker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
