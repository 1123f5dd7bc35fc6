"""The codec of answers about parts of a task: a choice or a rating for each region, item or message (`perRegion`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

from ml_backend.codecs import PER_REGION, get_codec
from ml_backend.codecs.regions import (
    Place,
    describe_regions,
    make_region,
    mean_similarity,
    place_of,
    place_similarity,
    region_value,
)
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer

Part: TypeAlias = tuple[Place, str, Any]  # where, the kind of the control, the value of the answer


class PerRegion:
    """An answer is a sorted tuple of (place, kind, value); the distance is one minus the mean similarity of its parts.

    Parts are matched one to one by the overlap of their places (spans, boxes; others are the same or not) times one
    minus the distance of their values; a part without a partner counts 0. So opposite answers on the same regions have
    distance 1, and no label stands for the whole task.

    >>> good, bad = (Answer(PER_REGION, (((("end", 5), ("start", 0)), "choices", (label,)),)) for label in ("G", "B"))
    >>> PerRegion().distance(good, bad), PerRegion().describe(good)
    (1.0, 'G (0 to 5)')
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        grouped: dict[tuple[Place, str], list[Mapping[str, Any]]] = {}
        for region in regions:
            region_value(region)
            grouped.setdefault((place_of(region), str(region.get("type"))), []).append(region)
        if not grouped:
            raise CodecError("there is no region")
        parts = [(place, kind, get_codec(kind).decode(found).value) for (place, kind), found in grouped.items()]
        return Answer(PER_REGION, tuple(sorted(parts, key=repr)))

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        """Return the regions where the answers were given, without the labels of other controls on them."""
        found: list[dict[str, Any]] = []
        for place, kind, value in _parts(answer):
            where = dict(place)
            item = {"item_index": where.pop("item_index")} if "item_index" in where else {}
            regions = get_codec(kind).encode(Answer(kind, value), control, score)
            values = ({**where, **region["value"]} for region in regions)
            found += [{**make_region(control, kind, value, score, named=True), **item} for value in values]
        return found

    def distance(self, a: Answer, b: Answer) -> float:
        return 1.0 - mean_similarity(_parts(a), _parts(b), _similarity)

    def describe(self, answer: Answer, _text: str = "", /) -> str:
        return describe_regions(
            [
                f"{get_codec(kind).describe(Answer(kind, value))}{_describe_place(dict(place))}"
                for place, kind, value in _parts(answer)
            ]
        )


def _parts(answer: Answer) -> tuple[Part, ...]:
    return cast("tuple[Part, ...]", answer.value)


def _similarity(a: Part, b: Part) -> float:
    if a[1] != b[1] or not (shared := place_similarity(a[0], b[0])):
        return 0.0
    return shared * (1.0 - get_codec(a[1]).distance(Answer(a[1], a[2]), Answer(b[1], b[2])))


def _describe_place(place: Mapping[str, Any]) -> str:
    if "item_index" in place:
        return f" (item {place['item_index']})"
    return f" ({place['start']} to {place['end']})" if {"start", "end"} <= place.keys() else " (a region)"
