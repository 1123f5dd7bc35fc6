"""The codec of Choices: one or several labels of a list, or paths of a nested list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ml_backend.clean_text import clean_text
from ml_backend.codecs.regions import jaccard_distance, make_region, region_value
from ml_backend.errors import CodecError
from ml_backend.label_config import PATH, Control
from ml_backend.records import Answer


class Choices:
    """An answer is the sorted tuple of chosen labels; the distance is one minus their Jaccard index.

    Jaccard (1912), doi:10.1111/j.1469-8137.1912.tb05611.x.

    A path of a nested list is one label, "Billing > Refund". The editor adds a branch to the answer where all below it
    is chosen; what is chosen below says it already.

    >>> a, b = Answer("choices", ("x", "y")), Answer("choices", ("y",))
    >>> Choices().distance(a, b)
    0.5
    >>> Choices().decode([{"value": {"choices": [["Delivery"], ["Delivery", "Late"]]}}]).value
    ('Delivery > Late',)
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        chosen: set[tuple[str, ...]] = set()
        for region in regions:
            labels = region_value(region).get("choices")
            if not isinstance(labels, list):
                raise CodecError("choices is not a list of labels")
            paths = [[label] if isinstance(label, str) else label for label in labels]
            if not all(path and isinstance(path, list) and all(isinstance(it, str) for it in path) for path in paths):
                raise CodecError("choices holds something else than labels or paths")
            chosen.update(tuple(map(clean_text, path)) for path in paths)
        if not chosen:
            raise CodecError("no label is chosen")
        branches = {path[:depth] for path in chosen for depth in range(1, len(path))}
        return Answer("choices", tuple(sorted(PATH.join(path) for path in chosen - branches)))

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        labels: list[str] = list(answer.value)  # type: ignore[call-overload]
        chosen = [label.split(PATH) for label in labels] if control.nested else labels
        return [make_region(control, "choices", {"choices": chosen}, score)]

    def distance(self, a: Answer, b: Answer) -> float:
        return jaccard_distance(set(a.value), set(b.value))  # type: ignore[call-overload]

    def describe(self, answer: Answer, _text: str = "", /) -> str:
        return ", ".join(answer.value)  # type: ignore[arg-type]
