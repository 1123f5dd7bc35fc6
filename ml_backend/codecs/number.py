"""The codec of Number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ml_backend.codecs.regions import make_region, read_number, region_value
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer

_MIN_DISTANCE = 5e-324  # different numbers that are too small to be halved must not have distance 0


class Number:
    """An answer is a finite float; the distance is the difference divided by the sum of the absolute values.

    This is the Canberra distance of one value: Lance and Williams (1966), doi:10.1093/comjnl/9.1.60.

    >>> Number().distance(Answer("number", 1.0), Answer("number", 3.0))
    0.5
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        """Return the number of the last region; the editor writes one region."""
        if not regions:
            raise CodecError("there is no number")
        return Answer("number", read_number(region_value(regions[-1]), "number") + 0.0)  # -0.0 becomes 0.0

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        number = cast("float", answer.value)
        return [make_region(control, "number", {"number": int(number) if number.is_integer() else number}, score)]

    def distance(self, a: Answer, b: Answer) -> float:
        left, right = cast("float", a.value), cast("float", b.value)
        if left == right:
            return 0.0
        half, other = left / 2.0, right / 2.0  # the sum of two huge numbers would be infinite
        return min(1.0, abs(half - other) / (abs(half) + abs(other))) if half != other else _MIN_DISTANCE

    def describe(self, answer: Answer, _text: str = "", /) -> str:
        number = cast("float", answer.value)
        return str(int(number) if number.is_integer() else number)
