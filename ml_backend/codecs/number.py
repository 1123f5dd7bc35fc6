"""Number: a quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ml_backend.codecs.regions import number_of, region, value_of
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer

_LEAST = 5e-324  # two different numbers too small to be halved are still different


class Number:
    """The answer is a finite float; the distance is the difference over the sum of the absolute values.

    >>> Number().distance(Answer("number", 1.0), Answer("number", 3.0))
    0.5
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        """Read the last region: the editor writes one."""
        if not regions:
            raise CodecError("no number is given")
        return Answer("number", number_of(value_of(regions[-1]), "number") + 0.0)  # -0.0 becomes 0.0

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        """One region; a whole number is written without a fraction."""
        given = cast("float", answer.value)
        return [region(control, "number", {"number": int(given) if given.is_integer() else given}, score)]

    def distance(self, a: Answer, b: Answer) -> float:
        """The relative difference: 0 for equal ones, 1 for opposite signs or one zero."""
        left, right = cast("float", a.value), cast("float", b.value)
        if left == right:
            return 0.0
        half, other = left / 2.0, right / 2.0  # the sum of two huge numbers would be infinite
        return min(1.0, abs(half - other) / (abs(half) + abs(other))) if half != other else _LEAST
