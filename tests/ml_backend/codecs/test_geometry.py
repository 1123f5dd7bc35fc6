"""Areas of polygons, also concave ones and such that cross themselves, against drawn and worked values."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image, ImageDraw

from ml_backend.codecs.geometry import ellipse_iou, overlap, polygon_iou

SQUARE = [(0, 0), (4, 0), (4, 4), (0, 4)]
BOW = [(0, 0), (4, 4), (4, 0), (0, 4)]  # crosses itself in the middle: two triangles
LETTER_C = [(0, 0), (4, 0), (4, 1), (1, 1), (1, 3), (4, 3), (4, 4), (0, 4)]  # area 10


@pytest.mark.parametrize(
    ("a", "b", "iou"),
    [
        (SQUARE, SQUARE[::-1], 1.0),
        (SQUARE, [(2, 0), (6, 0), (6, 4), (2, 4)], 1 / 3),
        (SQUARE, LETTER_C, 10 / 16),
        (LETTER_C, [(2, 1), (4, 1), (4, 3), (2, 3)], 0.0),  # in the mouth of the C
        (SQUARE, BOW, 0.5),
        (SQUARE, [(9, 9), (10, 9), (10, 10)], 0.0),
        (SQUARE, [(0, 0), (4, 4), (2, 2)], 0.0),  # a line
    ],
)
def test_polygons_overlap_by_area(a, b, iou):
    assert polygon_iou(a, b) == pytest.approx(iou, abs=1e-5)
    assert polygon_iou(b, a) == polygon_iou(a, b)


CORNERS = some.lists(some.tuples(some.integers(0, 40), some.integers(0, 40)), min_size=3, max_size=8, unique=True)


def painted(shape):
    """The shape in an image of 2,000 pixels, a corner at the middle of a pixel."""
    image = Image.new("1", (2_050, 2_050))
    ImageDraw.Draw(image).polygon([(50 * x + 25, 50 * y + 25) for x, y in shape], fill=1)
    return np.asarray(image)


@given(CORNERS, CORNERS)
def test_any_polygons_overlap_as_they_do_when_they_are_painted(a, b):
    first, second = painted(a), painted(b)
    shared, joint = int((first & second).sum()), int((first | second).sum())
    edge = 0.01 * joint + 20 * 2_050  # pixels on the edges, which are painted whole

    iou = polygon_iou(a, b)

    assert 0.0 <= iou == polygon_iou(b, a) <= 1.0
    assert abs(iou * joint - shared) <= edge


def test_polygons_of_thousands_of_corners_are_compared_in_a_moment():
    angles = np.linspace(0, 2 * math.pi, 8_000)
    a, b = (list(zip(50 + r * np.cos(angles), 50 + r * np.sin(angles), strict=True)) for r in (40, 20))
    start = time.perf_counter()

    assert polygon_iou(a, b) == pytest.approx(0.25, abs=1e-3)
    assert time.perf_counter() - start < 3.0


def test_an_ellipse_that_is_turned_on_a_wide_image_is_measured_in_pixels():
    # 10 % of a width of 200 is 20 pixels, of a height of 100 it is 10: turned by 90 degrees, 40 by 10 are 10 by 40
    flat, upright = (50, 50, 20, 10, 90.0), (50, 50, 5, 40, 0.0)

    assert ellipse_iou(flat, upright, aspect=2.0) == pytest.approx(1.0, abs=1e-2)
    assert ellipse_iou(flat, upright) < 0.5


def test_lengths_of_interval_sets():
    assert overlap([], []) == (0.0, 0.0)
    assert overlap([0, 1, 2, 3], [0.5, 2.5]) == (1.0, 3.0)
