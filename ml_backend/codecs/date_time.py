"""The codec of DateTime: a date, a time or both, as the editor writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from ml_backend.clean_text import clean_text
from ml_backend.codecs.regions import make_region, region_value
from ml_backend.codecs.textarea import text_distance
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer

_MAX_LENGTH = 100  # characters; a date in any format is shorter
_SHORT = ("%Y", "%Y-%m", "%H:%M", "%H:%M:%S")  # what `only` in the label config leaves of a date and time
_DAY_S = 86_400.0
_MIN_DISTANCE = 1e-6  # of one moment that is written in two ways


class DateTime:
    """An answer is the text that the editor writes; the distance is d / (d + 1) for a difference of d days.

    So one day is 0.5, an hour is 0.04, a year is nearly 1. It is an interval difference that
    stays below 1. Texts that are no ISO 8601 dates (`format` in the label config) are compared by edit distance.

    >>> DateTime().distance(Answer("datetime", "2024-01-02"), Answer("datetime", "2024-01-03"))
    0.5
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        """Return the text of the last region; the editor writes one, with a number where only a year is asked."""
        found = region_value(regions[-1]).get("datetime") if regions else None
        text = clean_text(str(found)) if isinstance(found, (str, int)) and not isinstance(found, bool) else ""
        if not 0 < len(text) <= _MAX_LENGTH:
            raise CodecError("datetime is not a date or time as text")
        return Answer("datetime", text)

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        return [make_region(control, "datetime", {"datetime": answer.value}, score)]

    def distance(self, a: Answer, b: Answer) -> float:
        if a == b:
            return 0.0
        left, right = (read_moment(str(answer.value)) for answer in (a, b))
        if left is None or right is None:
            return text_distance(str(a.value), str(b.value))
        days = abs(left - right) / _DAY_S
        return max(days / (days + 1.0), _MIN_DISTANCE)

    def describe(self, answer: Answer, _text: str = "", /) -> str:
        return str(answer.value)


def read_moment(text: str) -> float | None:
    """Return an ISO 8601 date or time in seconds since 1970, or of a time alone since midnight; None for other texts.

    A time without a zone is one of UTC.

    >>> read_moment("1970-01-02"), read_moment("00:01"), read_moment("in May")
    (86400.0, 60.0, None)
    """
    found: datetime | None = None
    with suppress(ValueError):
        found = datetime.fromisoformat(text)
    for form in _SHORT if found is None else ():
        with suppress(ValueError):
            found = datetime.strptime(text, form).replace(tzinfo=UTC)
            return (found - datetime(1970 if "%Y" in form else 1900, 1, 1, tzinfo=UTC)).total_seconds()
    if found is None:
        return None
    zoned = found if found.tzinfo else found.replace(tzinfo=UTC)
    return (zoned - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
