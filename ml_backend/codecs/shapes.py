"""The codecs of labelled shapes on images: boxes, ellipses, polygons and key points, in percent of the sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from ml_backend.codecs.geometry import box_iou, ellipse_iou, point_similarity, polygon_iou
from ml_backend.codecs.labelled_regions import Geometry, RegionCodec, RegionKind
from ml_backend.codecs.regions import read_number, region_value
from ml_backend.errors import CodecError
from ml_backend.label_config import Control

_DIGITS = 6  # decimals of a percent; smaller differences do not count
_MAX_PERCENT = 10_000.0  # an image of 100 times its own side is a mistake, and huge numbers have no areas
_MAX_CORNERS = 10_000
_POINT_WIDTH = 0.5  # percent of the image's width: how large a key point of ours is drawn


def _read_sides(names: tuple[str, ...], region: Mapping[str, Any]) -> Iterator[Geometry]:
    """Yield x, y, two sides or radii, the rotation, and the aspect of the image where the shape is rotated, else 1."""
    value = region_value(region)
    x, y, width, height = (_read_percent(value, name) for name in names)
    rotation = round(read_number(value, "rotation"), _DIGITS) % 360.0 if "rotation" in value else 0.0
    if width <= 0 or height <= 0:
        raise CodecError(f"a shape of {width:g} by {height:g} percent has no area")
    yield x, y, width, height, rotation, _read_aspect(region) if rotation else 1.0


def _write_sides(names: tuple[str, ...], shape: Geometry, _control: Control) -> tuple[dict[str, Any], dict[str, Any]]:
    *sides, rotation, aspect = shape
    value = {**dict(zip(names, sides, strict=True)), "rotation": rotation}
    # a rotated shape also gets the aspect of its image, as sides in pixels
    pixels = {"original_width": round(aspect * 10**_DIGITS), "original_height": 10**_DIGITS}
    return value, pixels if rotation else {}


def _sides_iou(iou: Callable[..., float], a: Geometry, b: Geometry) -> float:
    # both are on one image, whose aspect the rotated one has
    return iou(a[:5], b[:5], aspect=a[5] if a[4] else b[5])


def _describe_sides(center: str, shape: Geometry, _text: str) -> str:
    """Return the place of a box or an ellipse, in percent of the image.

    >>> _describe_sides("", (10.0, 20.04, 30.0, 5.0, 0.0, 1.0), "")
    ' (10 % from the left, 20 % from the top, 30 % wide, 5 % high)'
    """
    x, y, width, height, rotation, _aspect = shape
    wide, high = (2.0 * side if center else side for side in (width, height))
    turned = f", turned by {rotation:.0f}°" if rotation else ""
    return f" ({center}{x:.3g} % from the left, {y:.3g} % from the top, {wide:.3g} % wide, {high:.3g} % high{turned})"


def _read_polygon(region: Mapping[str, Any]) -> Iterator[Geometry]:
    points = region_value(region).get("points")
    if not isinstance(points, list) or not 3 <= len(points) <= _MAX_CORNERS:
        raise CodecError(f"points is not a list of 3 to {_MAX_CORNERS} corners")
    if not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise CodecError("a corner is not a pair of numbers")
    yield (tuple(tuple(_read_percent({"corner": side}, "corner") for side in point) for point in points),)


def _write_polygon(shape: Geometry, _control: Control) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"points": [list(point) for point in shape[0]], "closed": True}, {}


def _describe_polygon(shape: Geometry, _text: str) -> str:
    """Return the number of corners of a polygon, and from where to where it goes.

    >>> _describe_polygon((((10, 20), (30, 20), (30, 40)),), "")
    ' (3 corners, 10 to 30 % from the left, 20 to 40 % from the top)'
    """
    (left, right), (top, bottom) = ((min(sides), max(sides)) for sides in zip(*shape[0], strict=True))
    sides = f"{left:.3g} to {right:.3g} % from the left, {top:.3g} to {bottom:.3g} % from the top"
    return f" ({len(shape[0])} corners, {sides})"


def _read_point(region: Mapping[str, Any]) -> Iterator[Geometry]:
    value = region_value(region)
    yield _read_percent(value, "x"), _read_percent(value, "y")


def _write_point(point: Geometry, _control: Control) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"x": point[0], "y": point[1], "width": _POINT_WIDTH}, {}


def _read_percent(value: Mapping[str, Any], name: str) -> float:
    number = round(read_number(value, name), _DIGITS) + 0.0  # -0.0 becomes 0.0
    if abs(number) > _MAX_PERCENT:
        raise CodecError(f"{name} is {number:g} percent of the image")
    return number


def _read_aspect(region: Mapping[str, Any]) -> float:
    if "original_width" not in region or "original_height" not in region:
        return 1.0
    wide, high = read_number(region, "original_width"), read_number(region, "original_height")
    if not (0 < wide <= _MAX_PERCENT * high and 0 < high <= _MAX_PERCENT * wide):
        raise CodecError(f"an image has {wide:g} by {high:g} pixels")
    return round(wide / high, _DIGITS)


# The IoU is the index of Jaccard (1912), doi:10.1111/j.1469-8137.1912.tb05611.x, of two areas.
_BOX, _ELLIPSE = ("x", "y", "width", "height"), ("x", "y", "radiusX", "radiusY")
RectangleLabels = partial(
    RegionCodec,
    RegionKind(
        "rectanglelabels",
        partial(_read_sides, _BOX),
        partial(_write_sides, _BOX),
        partial(_sides_iou, box_iou),
        partial(_describe_sides, ""),
    ),
)
EllipseLabels = partial(
    RegionCodec,
    RegionKind(
        "ellipselabels",
        partial(_read_sides, _ELLIPSE),
        partial(_write_sides, _ELLIPSE),
        partial(_sides_iou, ellipse_iou),
        partial(_describe_sides, "around "),
    ),
)
PolygonLabels = partial(
    RegionCodec,
    RegionKind("polygonlabels", _read_polygon, _write_polygon, lambda a, b: polygon_iou(a[0], b[0]), _describe_polygon),
)
KeyPointLabels = partial(
    RegionCodec,
    RegionKind(
        "keypointlabels",
        _read_point,
        _write_point,
        lambda a, b: point_similarity((a[0], a[1]), (b[0], b[1])),
        lambda point, _text: f" ({point[0]:.3g} % from the left, {point[1]:.3g} % from the top)",
    ),
)
