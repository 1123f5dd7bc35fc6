"""Regions: read their fields, make them, match them one to one, and compare where answers about parts belong."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml_backend.clean_text import clean_text
from ml_backend.codecs.geometry import box_iou, ellipse_iou, polygon_iou, span_iou
from ml_backend.errors import CodecError
from ml_backend.label_config import PATH, Control
from ml_backend.left_out import name_some
from ml_backend.records import frozen

_MAX_DESCRIBED = 20  # regions of one answer in words
Region = TypeVar("Region")
Similarity = Callable[[Region, Region], float]
Place = tuple[tuple[str, Any], ...]  # the fields of a region that say where it is, by name; () for the whole task
# spans, boxes and ellipses, polygons and paths, masks, parts of videos, messages of a chat
_PLACE = frozenset(
    {
        *("start", "end", "startOffset", "endOffset", "x", "y", "width", "height", "rotation", "radiusX", "radiusY"),
        *("points", "vertices", "rle", "sequence", "ranges", "chatmessage", "item_index"),
    }
)
# the fields of a place -> the similarity of two places that have them
_MEASURES: tuple[tuple[tuple[str, ...], Callable[..., float]], ...] = (
    (("start", "end"), span_iou),
    (("x", "y", "width", "height", "rotation"), box_iou),
    (("x", "y", "radiusX", "radiusY", "rotation"), ellipse_iou),
    (("points",), lambda a, b: polygon_iou(a[0], b[0])),
)


def region_value(region: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the value of a region; CodecError where it has none."""
    value = region.get("value")
    if not isinstance(value, Mapping):
        raise CodecError("a region has no value")
    return value


def read_number(value: Mapping[str, Any], name: str) -> float:
    """Return a field as a finite float; CodecError for anything else, also for a bool."""
    field = value.get(name)
    if isinstance(field, bool) or not isinstance(field, (int, float)):
        raise CodecError(f"{name} is {_short(field)}, wanted a number")
    try:
        number = float(field)
    except OverflowError as error:
        raise CodecError(f"{name} has hundreds of digits; wanted a smaller number") from error
    if not math.isfinite(number):
        raise CodecError(f"{name} is {_short(field)}, wanted a finite number")
    return number


def read_labels(value: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a field as labels; CodecError where it is not a list of at least one text."""
    field = value.get(name)
    if not isinstance(field, list) or not field or not all(isinstance(label, str) for label in field):
        raise CodecError(f"{name} is {_short(field)}, wanted a list of labels")
    return tuple(map(clean_text, field))


def jaccard_distance(left: AbstractSet[object], right: AbstractSet[object]) -> float:
    """Return one minus the index of Jaccard (1912): shared elements divided by all; 0 for two empty sets.

    doi:10.1111/j.1469-8137.1912.tb05611.x
    """
    return 1.0 - len(left & right) / len(left | right) if left | right else 0.0


def make_region(
    control: Control, kind: str, value: Mapping[str, Any], score: float | None, *, named: bool = False
) -> dict[str, Any]:
    """Return a region as Label Studio's editor writes it; `named` adds an id, which spans and boxes need.

    Labels are spelled as in the label config, so that Label Studio finds them there.
    """
    region: dict[str, Any] = {
        "from_name": control.name,
        "to_name": control.to_name.split(",", 1)[0],  # Label Studio drops a prediction that names two objects
        "type": kind,
        "value": {name: _respell(part, control) if name == kind else part for name, part in value.items()},
    }
    if named:
        text = json.dumps([control.name, kind, region["value"]], sort_keys=True)
        region["id"] = hashlib.sha256(text.encode()).hexdigest()[:10]
    if score is not None:
        region["score"] = round(score, 6)
    return region


def _respell(part: Any, control: Control) -> Any:
    if not control.written:
        return part
    if control.nested and isinstance(part, list) and part and isinstance(part[0], str):
        path = PATH.join(part)
        return control.spelling.get(path, path).split(PATH)
    return [_respell(item, control) for item in part] if isinstance(part, list) else control.spelling.get(part, part)


def match_regions(
    left: Sequence[Region], right: Sequence[Region], similar: Similarity[Region]
) -> list[tuple[int, int, float]]:
    """Pair regions one to one with the largest sum of similarities; pairs with similarity 0 are left out.

    Returns (left index, right index, similarity) of each pair. The assignment problem of Kuhn (1955),
    doi:10.1002/nav.3800020109, solved by scipy.

    >>> match_regions([0, 8], [4, 16], lambda a, b: 1.0 - abs(a - b) / 16)
    [(0, 0, 0.75), (1, 1, 0.5)]
    """
    if not left or not right:
        return []
    # reason: 0.2 s of imports that a project of choices never needs
    from scipy.optimize import linear_sum_assignment

    table = similarities(left, right, similar)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return [(int(i), int(j), float(table[i, j])) for i, j in zip(rows, columns, strict=True) if table[i, j] > 0]


def similarities(left: Sequence[Region], right: Sequence[Region], similar: Similarity[Region]) -> NDArray[np.float64]:
    """Return the similarity of each left with each right region, shape (n_left, n_right)."""
    return np.array([[similar(a, b) for b in right] for a in left], dtype=np.float64).reshape(len(left), len(right))


def mean_similarity(left: Sequence[Region], right: Sequence[Region], similar: Similarity[Region]) -> float:
    """Return the mean similarity of matched regions, in [0, 1]; an unmatched region counts 0; 1 for no regions."""
    longest = max(len(left), len(right))
    return sum(pair[2] for pair in match_regions(left, right, similar)) / longest if longest else 1.0


def place_of(region: Mapping[str, Any]) -> Place:
    """Return where in a task the answer of a control such as Choices or Rating belongs; () for the whole task.

    The editor repeats the fields of the region in the value of each answer that is given `perRegion`.

    >>> place_of({"type": "choices", "value": {"start": 0, "end": 5, "text": "Alice", "choices": ["Good"]}})
    (('end', 5), ('start', 0))
    """
    value = region_value(region)
    offsets = value.get("globalOffsets")  # of hypertext, where start and end are paths
    fields = {**(offsets if isinstance(offsets, Mapping) else value), "item_index": region.get("item_index")}
    return tuple((name, frozen(fields[name])) for name in sorted(_PLACE & fields.keys()) if fields[name] is not None)


def place_similarity(a: Place, b: Place) -> float:
    """Return how far two places are the same, in [0, 1]: the IoU of spans and shapes, else whether they are equal."""
    if a == b:
        return 1.0
    places = dict(a), dict(b)
    if places[0].get("item_index") != places[1].get("item_index"):
        return 0.0
    for names, iou in _MEASURES:
        first, second = (
            tuple(place.get(name, 0 if name == "rotation" else None) for name in names) for place in places
        )
        if all(map(_is_number_or_polygon, (*first, *second))):
            return iou(first, second)
    return 0.0


def _is_number_or_polygon(part: object) -> bool:
    if not isinstance(part, tuple):
        return isinstance(part, (int, float))
    are_pairs = all(isinstance(corner, tuple) and len(corner) == 2 for corner in part)
    return len(part) >= 3 and are_pairs and all(isinstance(side, (int, float)) for corner in part for side in corner)


def describe_regions(texts: Sequence[str]) -> str:
    """Return the words of several regions as one text; of more than 20, how many are left out.

    >>> describe_regions(["a"] * 22)
    'a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a and 2 more'
    """
    return name_some(texts, most=_MAX_DESCRIBED)


def _short(field: object) -> str:
    return repr(field)[:40]
