from __future__ import annotations

import logging

from feedback.app.logging import RepeatFilter


def test_of_a_thousand_equal_lines_the_first_is_written_and_then_their_number():
    now = [0.0]
    repeats, written = RepeatFilter(clock=lambda: now[0]), list[str]()

    def say(text: str) -> None:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "%s", (text,), None)
        if repeats.filter(record):
            written.append(record.getMessage())

    for _ in range(1000):
        say("full")
    say("other")
    now[0] = 1.5
    say("full")

    assert written == ["full", "other", "full (and 999 more like this)"]
