"""The codec of Pairwise: which of two objects is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ml_backend.codecs.regions import make_region, region_value
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer


class Pairwise:
    """An answer is "left" or "right"; the distance is 0 or 1 (nominal)."""

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        """Return the side of the last region; the editor writes one region."""
        chosen = region_value(regions[-1]).get("selected") if regions else None
        if chosen not in ("left", "right"):
            raise CodecError("selected is neither left nor right")
        return Answer("pairwise", chosen)

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        """Return one region on the first of the two objects; Label Studio drops predictions that name both."""
        return [make_region(control, "pairwise", {"selected": answer.value}, score)]

    def distance(self, a: Answer, b: Answer) -> float:
        return float(a.value != b.value)

    def describe(self, answer: Answer, _text: str = "", /) -> str:
        return str(answer.value)
