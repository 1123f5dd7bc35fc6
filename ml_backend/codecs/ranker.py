"""The codec of Ranker: items in an order, or sorted into buckets and in an order there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from ml_backend.codecs.regions import jaccard_distance, make_region, region_value
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer

Bucket = tuple[str, tuple[str, ...]]  # its name, and the ids of its items, the best first
_ALONE = "_"  # the bucket of a list of which no control is known
_MAX_ITEMS = 1_000  # their pairs are compared


class Ranker:
    """An answer is a sorted tuple of (bucket, items in their order); a ranker without buckets has one of its own name.

    The distance is p + (1 - p) k. p is the Jaccard distance of the (bucket, item) pairs: what was sorted elsewhere. k
    is the normalised tau distance of the items that both have in one bucket: the share of their pairs that are in the
    other order (Kendall, 1938, doi:10.1093/biomet/30.1-2.81). So it is k where both rank the same items.

    >>> a, b = (Answer("ranker", (("rank", items),)) for items in (("x", "y", "z"), ("y", "x", "z")))
    >>> round(Ranker().distance(a, b), 3)
    0.333
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        """Return the order of the last region; the editor writes one. A list alone is the bucket of the control."""
        found = region_value(regions[-1]).get("ranker") if regions else None
        buckets = {str(regions[-1].get("from_name") or _ALONE): found} if isinstance(found, list) else found
        if not isinstance(buckets, Mapping):
            raise CodecError("ranker is not an object with a list of items for each bucket")
        items: list[str] = []
        for name, listed in buckets.items():
            if not isinstance(name, str) or not isinstance(listed, list):
                raise CodecError("a bucket is not a list of items")
            if not all(isinstance(item, str) for item in listed):
                raise CodecError("an item is not the text of its id")
            items += listed
        if not items or len(items) > _MAX_ITEMS or len(set(items)) < len(items):
            raise CodecError(f"there are {len(items)} items; wanted 1 to {_MAX_ITEMS}, each of them once")
        return Answer("ranker", tuple(sorted((name, tuple(listed)) for name, listed in buckets.items() if listed)))

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        ranked = {name: list(items) for name, items in _buckets(answer)}
        return [make_region(control, "ranker", {"ranker": ranked}, score)]

    def distance(self, a: Answer, b: Answer) -> float:
        left, right = dict(_buckets(a)), dict(_buckets(b))
        placed = jaccard_distance(*({(name, item) for name in side for item in side[name]} for side in (left, right)))
        turned = pairs = 0
        for name in left.keys() & right.keys():
            rank = {item: place for place, item in enumerate(right[name])}
            order = np.array([rank[item] for item in left[name] if item in rank])
            turned += int(np.triu(order[:, None] > order[None, :]).sum())
            pairs += len(order) * (len(order) - 1) // 2
        return placed + (1.0 - placed) * (turned / pairs if pairs else 0.0)

    def describe(self, answer: Answer, _text: str = "", /) -> str:
        buckets = _buckets(answer)
        return "; ".join(f"{f'{name}: ' if len(buckets) > 1 else ''}{', '.join(items)}" for name, items in buckets)


def _buckets(answer: Answer) -> tuple[Bucket, ...]:
    return cast("tuple[Bucket, ...]", answer.value)
