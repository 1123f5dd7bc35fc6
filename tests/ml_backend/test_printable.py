"""Whatever a text holds, a terminal or a log shows it and never obeys it."""

from __future__ import annotations

import io
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_backend.printable import PrintableFormatter, PrintableStream, printable

OSC, CSI, C1 = "\x1b]0;owned\x07", "\x1b[2J", "\x9b5m"
WRONG = {*map(chr, range(32)), *map(chr, range(0x7F, 0xA0)), *map(chr, range(0x2028, 0x202F)),
         *map(chr, range(0x2066, 0x2070)), *"\u061c\u200e\u200f"}  # fmt: skip


def record(message: str, *args: object, failure: Exception | None = None) -> logging.LogRecord:
    found = None if failure is None else (type(failure), failure, None)
    return logging.LogRecord("of this test", logging.WARNING, __file__, 1, message, args, found)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.text(st.characters(exclude_categories=[]) | st.sampled_from(sorted(WRONG))))
def test_no_text_keeps_a_control_character(text: str):
    shown = printable(text)

    assert not WRONG & set(shown)
    shown.encode()  # no half of a character either


def test_what_is_harmless_stays_as_it_is():
    text = "größe 日本語 שלום 👩‍👧 é [red]"

    assert printable(text) == text


def test_line_feeds_stay_only_where_they_are_meant():
    assert printable("title\nmodel: fine") == "title\\nmodel: fine"
    assert printable("a\n\tb\r", lines=True) == "a\n\tb\\r"


@pytest.mark.parametrize("text", [OSC, CSI, C1, "\x1b[31mred", "\x7f\b\r\x00\ud800"])
def test_a_pipe_gets_none_of_it(text: str):
    raw = io.StringIO()
    print(text, file=PrintableStream(raw))

    assert not (WRONG - {"\n"}) & set(raw.getvalue())


def test_a_terminal_gets_colours_and_nothing_else():
    raw = Terminal()
    PrintableStream(raw).writelines(["\x1b[1;31mred\x1b[0m", OSC, CSI])

    assert raw.getvalue() == "\x1b[1;31mred\x1b[0m\\x1b]0;owned\\x07\\x1b[2J"


def test_a_log_record_is_one_line_and_its_traceback_is_clean():
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(PrintableFormatter("%(levelname)s %(message)s"))

    handler.handle(record("project %s\nERROR forged", OSC))
    handler.handle(record("failed", failure=ValueError(CSI)))

    assert written.getvalue().startswith(
        "WARNING project \\x1b]0;owned\\x07\\nERROR forged\nWARNING failed\nValueError"
    )
    assert written.getvalue().endswith("ValueError: \\x1b[2J\n")
