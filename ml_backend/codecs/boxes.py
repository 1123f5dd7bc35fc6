"""The codec of RectangleLabels: labelled boxes on an image, in percent of its sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ml_backend.codecs.regions import (
    box_iou,
    describe_regions,
    make_region,
    mean_similarity,
    read_labels,
    read_number,
    region_value,
)
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer

LabelledBox = tuple[float, float, float, float, float, float, str]  # x, y, width, height, rotation, aspect, label
_DIGITS = 6  # decimals of a percent; smaller differences do not count


class Boxes:
    """An answer is a sorted tuple of boxes; the distance is one minus the mean IoU of matched boxes.

    A box is (x, y, width, height, rotation, aspect, label). `aspect` is the image's width divided by its height where
    the box is rotated, else 1. Boxes with the same label are matched one to one (Kuhn, 1955, scipy's
    linear_sum_assignment); a box without a partner counts as IoU 0. The IoU is the index of Jaccard (1912).

    >>> a = Answer("rectanglelabels", ((0, 0, 10, 10, 0, 1, "Car"), (8, 0, 10, 10, 0, 1, "Car")))
    >>> b = Answer("rectanglelabels", ((4, 0, 10, 10, 0, 1, "Car"), (16, 0, 4, 10, 0, 1, "Car")))
    >>> round(1 - Boxes().distance(a, b), 3)  # greedy matching would give 0.429
    0.298
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        boxes: set[LabelledBox] = set()
        for region in regions:
            value = region_value(region)
            x, y, width, height = (round(read_number(value, side), _DIGITS) for side in ("x", "y", "width", "height"))
            rotation = round(read_number(value, "rotation"), _DIGITS) % 360.0 if "rotation" in value else 0.0
            if width <= 0 or height <= 0:
                raise CodecError(f"a box of {width:g} by {height:g} percent has no area")
            aspect = _aspect(region) if rotation else 1.0
            boxes |= {(x, y, width, height, rotation, aspect, name) for name in read_labels(value, "rectanglelabels")}
        if not boxes:
            raise CodecError("there is no box")
        return Answer("rectanglelabels", tuple(sorted(boxes)))

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        """Return one region per box; a rotated box also gets the aspect of its image, as sides in pixels."""
        regions = []
        for x, y, width, height, rotation, aspect, label in boxes_of(answer):
            value = {"x": x, "y": y, "width": width, "height": height, "rotation": rotation, "rectanglelabels": [label]}
            region = make_region(control, "rectanglelabels", value, score, named=True)
            if rotation:
                region |= {"original_width": round(aspect * 10**_DIGITS), "original_height": 10**_DIGITS}
            regions.append(region)
        return regions

    def distance(self, a: Answer, b: Answer) -> float:
        return 1.0 - mean_similarity(boxes_of(a), boxes_of(b), box_similarity)

    def describe(self, answer: Answer, _text: str = "", /) -> str:
        return describe_regions([_describe_box(box) for box in boxes_of(answer)])


def boxes_of(answer: Answer) -> tuple[LabelledBox, ...]:
    """Return the boxes of a rectanglelabels answer."""
    return cast("tuple[LabelledBox, ...]", answer.value)


def box_similarity(a: LabelledBox, b: LabelledBox) -> float:
    """Return the IoU of two boxes, in [0, 1]; 0 for different labels."""
    if a == b:
        return 1.0  # exactly 1: the corners of rotated boxes are rounded
    # both are on one image, whose aspect the rotated one has
    return box_iou(a[:5], b[:5], aspect=a[5] if a[4] else b[5]) if a[6] == b[6] else 0.0


def _describe_box(box: LabelledBox) -> str:
    """Return the label and the place of a box, in percent of the image.

    >>> _describe_box((10.0, 20.04, 30.0, 5.0, 0.0, 1.0, "Car"))
    'Car (10 % from the left, 20 % from the top, 30 % wide, 5 % high)'
    """
    x, y, width, height, rotation, _aspect, label = box
    turned = f", turned by {rotation:.0f}°" if rotation else ""
    sides = f"{x:.3g} % from the left, {y:.3g} % from the top, {width:.3g} % wide, {height:.3g} % high"
    return f"{label} ({sides}{turned})"


def _aspect(region: Mapping[str, Any]) -> float:
    if "original_width" not in region or "original_height" not in region:
        return 1.0
    wide, high = read_number(region, "original_width"), read_number(region, "original_height")
    if wide <= 0 or high <= 0:
        raise CodecError(f"an image has {wide:g} by {high:g} pixels")
    return round(wide / high, _DIGITS)
