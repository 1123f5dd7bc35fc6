"""Regions against regions: one-to-one, so that no region is counted twice, and the same both ways."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Region = TypeVar("Region")
Similarity = Callable[[Region, Region], float]
Box = tuple[float, float, float, float, float]  # x, y, width, height, rotation in degrees about its top left corner
Point = tuple[float, float]


def match(left: Sequence[Region], right: Sequence[Region], similar: Similarity[Region]) -> list[tuple[int, int, float]]:
    """Pair regions so that the sum of similarities is largest; pairs without any similarity are left out.

    >>> match([0, 8], [4, 16], lambda a, b: 1.0 - abs(a - b) / 16)
    [(0, 0, 0.75), (1, 1, 0.5)]
    """
    if not left or not right:
        return []
    table = similarities(left, right, similar)
    rows, columns = linear_sum_assignment(table, maximize=True)
    return [(int(i), int(j), float(table[i, j])) for i, j in zip(rows, columns, strict=True) if table[i, j] > 0]


def similarities(left: Sequence[Region], right: Sequence[Region], similar: Similarity[Region]) -> NDArray[np.float64]:
    """The similarity of every two regions, (n_left, n_right)."""
    return np.array([[similar(a, b) for b in right] for a in left], dtype=np.float64).reshape(len(left), len(right))


def mean_similarity(left: Sequence[Region], right: Sequence[Region], similar: Similarity[Region]) -> float:
    """The mean similarity of matched regions, in [0, 1]; a region without a partner counts as 0; 1 for none at all."""
    longest = max(len(left), len(right))
    return sum(pair[2] for pair in match(left, right, similar)) / longest if longest else 1.0


def f1(left: Sequence[Region], right: Sequence[Region], similar: Similarity[Region], *, at_least: float = 1.0) -> float:
    """The share of regions that have a partner of similarity `at_least`, in [0, 1]; exact matches by default.

    >>> same = lambda a, b: span_iou(a[:2], b[:2]) * (a[2] == b[2])
    >>> a, b = [(0, 5, "PER"), (10, 15, "ORG")], [(0, 5, "PER"), (10, 14, "ORG")]
    >>> f1(a, b, same), f1(a, b, same, at_least=0.5)
    (0.5, 1.0)
    """
    if not left and not right:
        return 1.0

    def enough(a: Region, b: Region) -> float:
        return 1.0 if similar(a, b) >= at_least else 0.0

    return 2.0 * len(match(left, right, enough)) / (len(left) + len(right))


def span_iou(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Shared length over joint length of two half-open spans [start, end), in [0, 1].

    >>> span_iou((121, 124), (122, 125))
    0.5
    """
    shared = min(a[1], b[1]) - max(a[0], b[0])
    joint = max(a[1], b[1]) - min(a[0], b[0])
    return shared / joint if shared > 0 and joint > 0 else 0.0


def box_iou(a: Box, b: Box, *, aspect: float = 1.0) -> float:
    """Shared area over joint area of two boxes in percent of the image, in [0, 1].

    `aspect` is the image's width over its height: percents of the two sides differ in pixels, which matters to
    rotated boxes alone.

    >>> round(box_iou((0, 0, 10, 10, 0), (5, 5, 10, 10, 0)), 4)
    0.1429
    """
    if a[4] == b[4] == 0:
        wide = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
        high = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
        shared = wide * high if wide > 0 and high > 0 else 0.0
        joint = a[2] * a[3] + b[2] * b[3] - shared
    else:
        one, other = _corners(a, aspect), _corners(b, aspect)
        shared = _area(_clip(one, other))
        joint = _area(one) + _area(other) - shared
    return min(shared / joint, 1.0) if joint > 0 else float(a == b)


def _corners(box: Box, aspect: float) -> list[Point]:
    """The corners in equal units; Label Studio turns a box clockwise about its top left corner."""
    x, y, width, height, degrees = box[0] * aspect, box[1], box[2] * aspect, box[3], math.radians(box[4])
    cos, sin = math.cos(degrees), math.sin(degrees)
    offsets = ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))
    return [(x + dx * cos - dy * sin, y + dx * sin + dy * cos) for dx, dy in offsets]


def _clip(shape: list[Point], window: list[Point]) -> list[Point]:
    """The part of a convex shape inside a convex window, edge by edge. Sutherland and Hodgman (1974)."""
    for start, end in zip(window, window[1:] + window[:1], strict=True):
        kept: list[Point] = []
        for here, there in zip(shape, shape[1:] + shape[:1], strict=True):
            side, other = _side(start, end, here), _side(start, end, there)
            if side >= 0:
                kept.append(here)
            if (side >= 0) != (other >= 0):
                share = side / (side - other)
                kept.append((here[0] + share * (there[0] - here[0]), here[1] + share * (there[1] - here[1])))
        shape = kept
        if not shape:
            break
    return shape


def _side(start: Point, end: Point, point: Point) -> float:
    return (end[0] - start[0]) * (point[1] - start[1]) - (end[1] - start[1]) * (point[0] - start[0])


def _area(shape: list[Point]) -> float:
    if len(shape) < 3:
        return 0.0
    turns = zip(shape, shape[1:] + shape[:1], strict=True)
    return abs(sum(here[0] * there[1] - there[0] * here[1] for here, there in turns)) / 2.0
