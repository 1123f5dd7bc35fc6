"""Rating: a whole number of stars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ml_backend.codecs.regions import number_of, region, value_of
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer


class Rating:
    """The answer is the number of stars, an int of 0 or more; the distance is their difference over the larger.

    >>> Rating().distance(Answer("rating", 4), Answer("rating", 5))
    0.2
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        """Read the last region: the editor writes one."""
        if not regions:
            raise CodecError("no rating is given")
        stars = number_of(value_of(regions[-1]), "rating")
        if stars < 0 or stars != int(stars):
            raise CodecError(f"rating is {stars:g}, wanted a whole number of stars")
        return Answer("rating", int(stars))

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        """One region."""
        return [region(control, "rating", {"rating": answer.value}, score)]

    def distance(self, a: Answer, b: Answer) -> float:
        """The difference over the larger of the two; 0 where both are 0."""
        left, right = cast("int", a.value), cast("int", b.value)
        return abs(left - right) / max(left, right) if left != right else 0.0
