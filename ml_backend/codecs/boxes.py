"""Rectangle labels: boxes on an image, in percent of its sides, each with a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ml_backend.codecs.region_matching import box_iou, mean_similarity
from ml_backend.codecs.regions import labels_of, number_of, region, value_of
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.records import Answer

LabelledBox = tuple[float, float, float, float, float, float, str]  # x, y, width, height, rotation, aspect, label
_DIGITS = 6  # of a percent: a millionth of an image is no difference


class Boxes:
    """The answer is the sorted tuple of boxes; the distance is one minus the mean matched overlap.

    A box is (x, y, width, height, rotation, aspect, label); `aspect` is the image's width over its height where the
    box is turned, else 1. Boxes are matched one to one within a label.

    >>> one = Answer("rectanglelabels", ((0, 0, 10, 10, 0, 1, "Car"), (8, 0, 10, 10, 0, 1, "Car")))
    >>> other = Answer("rectanglelabels", ((4, 0, 10, 10, 0, 1, "Car"), (16, 0, 4, 10, 0, 1, "Car")))
    >>> round(1 - Boxes().distance(one, other), 3)  # greedy matching would say 0.429
    0.298
    """

    def decode(self, regions: Sequence[Mapping[str, Any]]) -> Answer:
        """Read each region; one with several labels is as many boxes."""
        boxes: set[LabelledBox] = set()
        for one in regions:
            value = value_of(one)
            x, y, width, height = (round(number_of(value, side), _DIGITS) for side in ("x", "y", "width", "height"))
            rotation = round(number_of(value, "rotation"), _DIGITS) % 360.0 if "rotation" in value else 0.0
            if width <= 0 or height <= 0:
                raise CodecError(f"a box of {width:g} by {height:g} percent has no area")
            aspect = _aspect(one) if rotation else 1.0
            boxes.update((x, y, width, height, rotation, aspect, name) for name in labels_of(value, "rectanglelabels"))
        if not boxes:
            raise CodecError("no box is drawn")
        return Answer("rectanglelabels", tuple(sorted(boxes)))

    def encode(self, answer: Answer, control: Control, score: float | None) -> list[dict[str, Any]]:
        """One region a box; a turned one also says the aspect of its image, as sides in pixels."""
        made = []
        for x, y, width, height, rotation, aspect, label in boxes_of(answer):
            value = {"x": x, "y": y, "width": width, "height": height, "rotation": rotation, "rectanglelabels": [label]}
            one = region(control, "rectanglelabels", value, score, named=True)
            if rotation:
                one |= {"original_width": round(aspect * 10**_DIGITS), "original_height": 10**_DIGITS}
            made.append(one)
        return made

    def distance(self, a: Answer, b: Answer) -> float:
        """One minus the mean overlap (shared over joint area) of matched boxes."""
        return 1.0 - mean_similarity(boxes_of(a), boxes_of(b), box_similarity)


def boxes_of(answer: Answer) -> tuple[LabelledBox, ...]:
    """The boxes of a rectanglelabels answer."""
    return cast("tuple[LabelledBox, ...]", answer.value)


def box_similarity(a: LabelledBox, b: LabelledBox) -> float:
    """Overlap of two boxes of the same label; 0 for different labels."""
    if a == b:
        return 1.0  # exactly: corners of turned boxes are rounded
    # both lie on one image: the aspect is that of whichever is turned
    return box_iou(a[:5], b[:5], aspect=a[5] if a[4] else b[5]) if a[6] == b[6] else 0.0


def _aspect(one: Mapping[str, Any]) -> float:
    if "original_width" not in one or "original_height" not in one:
        return 1.0
    wide, high = number_of(one, "original_width"), number_of(one, "original_height")
    if wide <= 0 or high <= 0:
        raise CodecError(f"an image of {wide:g} by {high:g} pixels")
    return round(wide / high, _DIGITS)
