"""Figures as people read them: on the pages, and in the terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ml_backend.records import Answer

_LONGEST = 160  # of a text that others wrote: titles, labels, notes
_PDF, _PDI = "\u202c", "\u2069"
_OPENS = dict.fromkeys("\u202a\u202b\u202d\u202e", _PDF) | dict.fromkeys("\u2066\u2067\u2068", _PDI)
_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


def percent(value: float | None) -> str:
    """A share as people read it.

    >>> percent(0.923), percent(1.0), percent(None)
    ('92.3 %', '100 %', '–')
    """
    if value is None:
        return "–"
    text = f"{100 * value:.1f}".removesuffix(".0")
    return f"{text} %"


def within(figure: dict[str, Any] | None) -> str:
    """The interval of a share.

    >>> within({"value": 0.9, "low": 0.81, "high": 0.95})
    '81 to 95 %'
    """
    return f"{100 * figure['low']:.0f} to {100 * figure['high']:.0f} %" if figure else ""


def number(value: float | None) -> str:
    """A count with thin spaces, or a figure of two places.

    >>> number(1234567), number(0.123), number(None)
    ('1\\u202f234\\u202f567', '0.12', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:.2f}"
    return f"{int(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def duration(seconds: float | None) -> str:
    """A duration in its largest unit.

    >>> duration(42.0), duration(5400), duration(None)
    ('42 seconds', '1.5 hours', '–')
    """
    if seconds is None:
        return "–"
    for name, size in _UNITS:
        if abs(seconds) >= size or size == 1:
            count = round(seconds / size, 1 if abs(seconds) < 10 * size else None)
            return f"{count:g} {name}{'' if count == 1 else 's'}"
    return "–"


def when(at_s: float) -> str:
    """A time in UTC.

    >>> when(0.0)
    '1970-01-01 00:00 UTC'
    """
    try:
        return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "–"


def closed(text: str) -> str:
    """A text that others wrote, which turns the reading direction of nothing that is said after it.

    Whatever direction it opens (Unicode Standard Annex 9) is closed at its end.

    >>> closed("fine"), closed("\\u202etrust me"), closed("\\u2067\\u202a")
    ('fine', '\\u202etrust me\\u202c', '\\u2067\\u202a\\u202c\\u2069')
    """
    waiting: list[str] = []
    for sign in text:
        if sign in _OPENS:
            waiting.append(_OPENS[sign])
        elif sign == _PDI and sign in waiting:  # an isolate ends together with what was opened in it
            del waiting[len(waiting) - 1 - waiting[::-1].index(sign) :]
        elif sign == _PDF and waiting[-1:] == [sign]:  # and nothing in it ends what was opened before
            waiting.pop()
    return text + "".join(reversed(waiting))


def short(text: object) -> str:
    """A text that others wrote, cut where it would break the page.

    >>> len(short("x" * 1000)), short("spam")
    (160, 'spam')
    """
    said = str(text)
    return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"


def answer_text(key: str) -> str:
    """Return an answer as people read it, from its key.

    >>> answer_text('["choices",["spam","urgent"]]'), answer_text('["rating",4]')
    ('spam, urgent', '4')
    """
    value = Answer.from_key(key).value
    return ", ".join(map(_value_text, value)) if isinstance(value, tuple) else str(value)


def _value_text(value: object) -> str:
    return " > ".join(map(_value_text, value)) if isinstance(value, tuple) else str(value)
