"""The codec of Choices: one or several labels of a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ml_backend.codecs.regions import jaccard_distance, make_region, region_value
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer


class Choices:
    """An answer is the sorted tuple of chosen labels; the distance is one minus their Jaccard index (Jaccard, 1912).

    >>> a, b = Answer("choices", ("x", "y")), Answer("choices", ("y",))
    >>> Choices().distance(a, b)
    0.5
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        """Return the labels of all regions together, also of per-region choices."""
        chosen: set[str] = set()
        for region in regions:
            labels = region_value(region).get("choices")
            if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
                raise CodecError("choices is not a list of labels")
            chosen.update(labels)
        if not chosen:
            raise CodecError("no label is chosen")
        return Answer("choices", tuple(sorted(chosen)))

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        return [make_region(control, "choices", {"choices": list(answer.value)}, score)]  # type: ignore[call-overload]

    def distance(self, a: Answer, b: Answer) -> float:
        return jaccard_distance(set(a.value), set(b.value))  # type: ignore[call-overload]

    def describe(self, answer: Answer, _text: str = "", /) -> str:
        return ", ".join(answer.value)  # type: ignore[arg-type]
