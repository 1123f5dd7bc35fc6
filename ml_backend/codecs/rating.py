"""The codec of Rating: a whole number of stars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ml_backend.codecs.regions import make_region, read_number, region_value
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer


class Rating:
    """An answer is the number of stars, an int >= 0; the distance is the difference divided by the larger one.

    It is one minus the weighted index of Jaccard (1912), doi:10.1111/j.1469-8137.1912.tb05611.x, of two heaps of stars.

    >>> Rating().distance(Answer("rating", 3), Answer("rating", 4))
    0.25
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        """Return the stars of the last region; the editor writes one region."""
        if not regions:
            raise CodecError("there is no rating")
        stars = read_number(region_value(regions[-1]), "rating")
        if stars < 0 or stars != int(stars):
            raise CodecError(f"rating is {stars:g}, wanted a whole number of stars")
        return Answer("rating", int(stars))

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        return [make_region(control, "rating", {"rating": answer.value}, score)]

    def distance(self, a: Answer, b: Answer) -> float:
        left, right = cast("int", a.value), cast("int", b.value)
        return abs(left - right) / max(left, right) if left != right else 0.0

    def describe(self, answer: Answer, _text: str = "", /) -> str:
        return str(int(cast("int", answer.value)))
