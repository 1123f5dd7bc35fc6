"""Numbers, times and texts as people read them, on the pages and in the terminal."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Hashable
from typing import Any

from feedback.review.review_task_content import format_answer, format_time
from ml_backend.records import Answer

_MAX_CHARS = 160  # of a text from people: titles, labels, notes
_PDF, _PDI = "\u202c", "\u2069"
_OPENS = dict.fromkeys("\u202a\u202b\u202d\u202e", _PDF) | dict.fromkeys("\u2066\u2067\u2068", _PDI)
_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


def percent(value: float | None) -> str:
    """Return a share as a percentage.

    >>> percent(0.923), percent(1.0), percent(None)
    ('92.3 %', '100 %', '–')
    """
    if value is None:
        return "–"
    text = f"{100 * value:.1f}".removesuffix(".0")
    return f"{text} %"


def within(figure: dict[str, Any] | None) -> str:
    """Return the interval of a share as percentages.

    >>> within({"value": 0.9, "low": 0.81, "high": 0.95})
    '81 to 95 %'
    """
    return f"{100 * figure['low']:.0f} to {100 * figure['high']:.0f} %" if figure else ""


def number(value: float | None) -> str:
    """Return a count with thin spaces, or another number with two decimals.

    >>> number(1234567), number(0.123), number(None)
    ('1\\u202f234\\u202f567', '0.12', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.2f}"
    return f"{int(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def decimal(value: float | None, digits: int = 2) -> str:
    """Return a number with a fixed number of decimals.

    >>> decimal(0.5), decimal(float("nan")), decimal(None)
    ('0.50', '–', '–')
    """
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def bounds(low: float | None, high: float | None, digits: int = 2) -> str:
    """Return the bounds of an interval; "…" for a bound that is unknown or infinite.

    >>> bounds(0.44, 0.6), bounds(1.0, None)
    ('[0.44, 0.60]', '[1.00, …]')
    """
    texts = [f"{end:.{digits}f}" if end is not None and math.isfinite(end) else "…" for end in (low, high)]
    return f"[{texts[0]}, {texts[1]}]"


def duration(seconds: float | None) -> str:
    """Return a duration in its largest unit.

    >>> duration(42.0), duration(5400), duration(None), duration(float("inf"))
    ('42 seconds', '1.5 hours', '–', 'without end')
    """
    if seconds is None:
        return "–"
    if seconds == float("inf"):
        return "without end"
    for name, size in _UNITS:
        if abs(seconds) >= size or size == 1:
            count = round(seconds / size, 1 if abs(seconds) < 10 * size else None)
            return f"{count:g} {name}{'' if count == 1 else 's'}"
    return "–"


def when(at_s: float) -> str:
    """Return a time, in epoch seconds, as UTC text.

    >>> when(0.0)
    '1970-01-01 00:00 UTC'
    """
    try:
        return format_time(at_s)
    except (OverflowError, ValueError, OSError):
        return "–"


def close_direction(text: str) -> str:
    """Return the text with every reading direction closed that it opens (Unicode Standard Annex 9).

    A text from people must not change the reading direction of the words after it.

    >>> close_direction("fine"), close_direction("\\u202etrust me"), close_direction("\\u2067\\u202a")
    ('fine', '\\u202etrust me\\u202c', '\\u2067\\u202a\\u202c\\u2069')
    """
    unclosed: list[str] = []
    for sign in text:
        if sign in _OPENS:
            unclosed.append(_OPENS[sign])
        elif sign == _PDI and sign in unclosed:  # an isolate also closes what was opened in it
            del unclosed[len(unclosed) - 1 - unclosed[::-1].index(sign) :]
        elif sign == _PDF and unclosed[-1:] == [sign]:  # and nothing inside it closes what was opened before
            unclosed.pop()
    return text + "".join(reversed(unclosed))


def short(text: object) -> str:
    """Return a text from people, cut where it would break the page.

    >>> len(short("x" * 1000)), short("spam")
    (160, 'spam')
    """
    full = str(text)
    return full if len(full) <= _MAX_CHARS else full[: _MAX_CHARS - 1] + "…"


def answer_text(key: str) -> str:
    """Return an answer as people read it, from its key.

    >>> answer_text('["choices",["spam","urgent"]]'), answer_text('["taxonomy",[["Fruit","Apple"]]]')
    ('spam, urgent', 'Fruit > Apple')
    """
    return format_answer(Answer.from_key(key))


def pseudonym(secret: str, person: Hashable) -> str:
    """Return a short name for a person, the same in every report; without the secret it cannot be traced back.

    >>> pseudonym("key", 7) == pseudonym("key", 7) != pseudonym("other key", 7)
    True
    >>> len(pseudonym("key", 7))
    8
    """
    digest = hmac.new(secret.encode(), f"person:{person}".encode(), hashlib.sha256).hexdigest()
    return f"p-{digest[:6]}"
