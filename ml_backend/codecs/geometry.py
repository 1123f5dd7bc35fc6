"""Overlap of intervals, boxes, ellipses, polygons and masks, and nearness of points: similarities in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

Box = tuple[float, float, float, float, float]  # x, y, width, height, rotation in degrees around its top left corner
Ellipse = tuple[float, float, float, float, float]  # x, y of the centre, radii, rotation in degrees around the centre
Point = tuple[float, float]
_STRIPS = 256  # horizontal strips in which polygons are compared: 1 / 256 of their height each
_CORNERS = 64  # of the polygon that stands for an ellipse
_NEAR = 5.0  # percent of the image: 2 σ of OKS for an eye (σ = 0.025), where the image is the object


def overlap(a: ArrayLike, b: ArrayLike) -> tuple[float, float]:
    """Return the lengths of the intersection and of the union of two sets of disjoint intervals.

    Each set is the sorted ends of its intervals: start, end, start, end, ...

    >>> overlap([0, 5, 8, 9], [4, 10])
    (2.0, 10.0)
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    ends = np.union1d(first, second)
    middle = (ends[1:] + ends[:-1]) / 2.0
    in_a, in_b = np.searchsorted(first, middle) % 2 == 1, np.searchsorted(second, middle) % 2 == 1
    length = np.diff(ends)
    return float(length[in_a & in_b].sum()), float(length[in_a | in_b].sum())


def merge_intervals(intervals: Iterable[tuple[float, float]]) -> list[float]:
    """Return the ends of the union of intervals, as `overlap` takes them.

    >>> merge_intervals([(8, 9), (0, 3), (2, 5)])
    [0, 5, 8, 9]
    """
    ends: list[float] = []
    for start, end in sorted(intervals):
        if ends and start <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            ends += [start, end]
    return ends


def span_iou(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Return the intersection over union of two half-open intervals [start, end), in [0, 1].

    >>> span_iou((121, 124), (122, 125))
    0.5
    """
    shared = min(a[1], b[1]) - max(a[0], b[0])
    joint = max(a[1], b[1]) - min(a[0], b[0])
    return shared / joint if shared > 0 and joint > 0 else float(a == b)


def box_iou(a: Box, b: Box, *, aspect: float = 1.0) -> float:
    """Return the intersection over union of two boxes in percent of the image, in [0, 1].

    `aspect` is the image's width divided by its height. Only rotated boxes need it, because a percent of the width and
    of the height are different lengths.

    >>> round(box_iou((0, 0, 10, 10, 0), (5, 5, 10, 10, 0)), 4)
    0.1429
    """
    if a[4] == b[4] == 0:
        wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
        high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
        shared = wide * high if wide > 0 and high > 0 else 0.0
        joint = a[2] * a[3] + b[2] * b[3] - shared
        return min(shared / joint, 1.0) if joint > 0 else float(a == b)
    return polygon_iou(*(_turn(box[:2], [(0, 0), (1, 0), (1, 1), (0, 1)], box[2:], aspect) for box in (a, b)))


def ellipse_iou(a: Ellipse, b: Ellipse, *, aspect: float = 1.0) -> float:
    """Return the intersection over union of two ellipses in percent of the image, in [0, 1]; `aspect` as in `box_iou`.

    >>> round(ellipse_iou((50, 50, 20, 20, 0), (50, 50, 10, 10, 0)), 3)
    0.25
    """
    angles = 2.0 * math.pi * np.arange(_CORNERS) / _CORNERS
    circle = list(zip(np.cos(angles).tolist(), np.sin(angles).tolist(), strict=True))
    return polygon_iou(*(_turn(shape[:2], circle, shape[2:], aspect) for shape in (a, b)))


def polygon_iou(a: Sequence[Point], b: Sequence[Point]) -> float:
    """Return the intersection over union of two polygons, in [0, 1]; they may be concave and cross themselves.

    Inside is what a line from outside enters an odd number of times (even-odd rule). Areas are added over horizontal
    strips between the corners and 256 even lines, by their width in the middle: exact but for strips in which edges
    cross. So no geometry library is needed: shapely brings GEOS (LGPL), and refuses polygons that cross themselves.

    >>> polygon_iou([(0, 0), (4, 0), (4, 4), (0, 4)], [(0, 0), (2, 0), (2, 4), (0, 4)])
    0.5
    """
    corners = [np.asarray(shape, dtype=np.float64) for shape in (a, b)]
    if any((first.max(axis=0) < second.min(axis=0)).any() for first, second in (corners, corners[::-1])):
        return 0.0
    x, y = np.vstack(corners).T
    next_x, next_y = np.vstack([np.roll(shape, -1, axis=0) for shape in corners]).T
    lines = np.linspace(y.min(), y.max(), _STRIPS + 1)
    if len(y) <= _STRIPS:  # else the even lines are as near as the corners
        lines = np.union1d(lines, y)
    middle = ((lines[1:] + lines[:-1]) / 2.0)[:, None]
    crossed = (y <= middle) != (next_y <= middle)  # (strips, edges)
    slope = np.divide(next_x - x, next_y - y, out=np.zeros_like(x), where=next_y != y)
    at = np.where(crossed, x + (middle - y) * slope, np.inf)
    order = np.argsort(at, axis=1, kind="stable")
    at, crossed = np.take_along_axis(at, order, axis=1), np.take_along_axis(crossed, order, axis=1)
    of_a = order < len(corners[0])
    in_a, in_b = (np.cumsum(crossed & mine, axis=1)[:, :-1] % 2 == 1 for mine in (of_a, ~of_a))
    width = np.where(crossed[:, 1:], at[:, 1:], 0.0) - np.where(crossed[:, 1:], at[:, :-1], 0.0)
    shared, joint = (float(np.diff(lines) @ (width * inside).sum(axis=1)) for inside in (in_a & in_b, in_a | in_b))
    return min(shared / joint, 1.0) if joint > 0 else float(tuple(a) == tuple(b))


def point_similarity(a: Point, b: Point) -> float:
    """Return `exp(-d² / 2k²)` for the distance d of two points, in [0, 1]; both in percent of the image.

    It is the object keypoint similarity of COCO with the image as the object and k = 5 percent. Ronchi and Perona
    (2017), doi:10.1109/ICCV.2017.48.

    >>> round(point_similarity((50, 50), (55, 50)), 2)
    0.61
    """
    return math.exp(-((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / (2.0 * _NEAR**2))


def _turn(origin: Sequence[float], shape: Sequence[Point], sides: Sequence[float], aspect: float) -> list[Point]:
    """Return a unit shape at its place in equal units; Label Studio turns clockwise around the origin."""
    x, y, width, height, degrees = origin[0] * aspect, origin[1], sides[0] * aspect, sides[1], math.radians(sides[2])
    cos, sin = math.cos(degrees), math.sin(degrees)
    offsets = [(dx * width, dy * height) for dx, dy in shape]
    return [(x + dx * cos - dy * sin, y + dx * sin + dy * cos) for dx, dy in offsets]
