"""Overlap and one-to-one matching against published and worked values."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ml_backend.codecs.geometry import box_iou, span_iou
from ml_backend.codecs.intervals import Labels
from ml_backend.codecs.regions import match_regions, mean_similarity
from ml_backend.codecs.shapes import RectangleLabels
from ml_backend.records import Answer

BOXES_A = [(0, 0, 10, 10, 0), (8, 0, 10, 10, 0)]
BOXES_B = [(4, 0, 10, 10, 0), (16, 0, 4, 10, 0)]


@pytest.mark.parametrize(
    ("a", "b", "iou"), [((121, 124), (122, 125), 0.5), ((118, 124), (121, 124), 0.5), ((0, 10), (11, 20), 0.0)]
)
def test_spans_overlap_as_published(a, b, iou):
    assert span_iou(a, b) == iou == span_iou(b, a)


@pytest.mark.parametrize(
    ("a", "b", "iou"),
    [((0, 0, 10, 10, 0), (5, 5, 10, 10, 0), 1 / 7), ((0, 0, 10, 10, 0), (2, 2, 5, 5, 0), 0.25)],
)
def test_boxes_overlap_by_area(a, b, iou):
    assert box_iou(a, b) == pytest.approx(iou, abs=1e-12)


def test_one_to_one_matching_counts_no_box_twice():
    greedy = sum(max(box_iou(a, b) for b in BOXES_B) for a in BOXES_A) / 2

    assert greedy == pytest.approx(0.42857143, abs=1e-8)
    assert mean_similarity(BOXES_A, BOXES_B, box_iou) == pytest.approx(0.29761905, abs=1e-8)
    assert mean_similarity(BOXES_B, BOXES_A, box_iou) == pytest.approx(0.29761905, abs=1e-8)


def test_exact_and_relaxed_agreement_on_spans():
    a, b = [(0, 5, "PER"), (10, 15, "ORG")], [(0, 5, "PER"), (10, 14, "ORG")]

    assert mean_similarity(a, b, Labels().similarity) == pytest.approx(0.9, abs=1e-12)


def test_a_span_of_another_label_is_no_match():
    person, place = (Answer("labels", ((0, 5, label),)) for label in ("PER", "LOC"))

    assert Labels().distance(person, place) == 1.0


def test_a_missed_span_costs_its_characters():
    both, one = Answer("labels", ((0, 5, "A"), (9, 12, "A"))), Answer("labels", ((0, 5, "A"),))

    assert Labels().distance(both, one) == pytest.approx(1 - 2 * 5 / (8 + 5), abs=1e-12)


def test_nothing_against_something_matches_nothing():
    assert match_regions([], BOXES_A, box_iou) == []
    assert mean_similarity([], [], box_iou) == 1.0


def test_a_box_turned_by_ninety_degrees_covers_the_neighbouring_box():
    turned, upright = (10, 0, 4, 10, 90.0), (0, 0, 10, 4, 0.0)

    assert box_iou(turned, upright) == pytest.approx(1.0, abs=1e-9)


def test_a_turned_box_on_a_wide_image_is_measured_in_pixels():
    # 10 % of a width of 200 is 20 pixels, of a height of 100 it is 10: a square of 20 turned by 90 degrees
    square, moved = (30, 0, 10, 20, 90.0), (20, 0, 10, 20, 0.0)

    assert box_iou(square, moved, aspect=2.0) == pytest.approx(1.0, abs=1e-9)


def test_a_rotated_box_reads_the_aspect_of_its_image():
    value = {"x": 30, "y": 0, "width": 10, "height": 20, "rotation": 90, "rectanglelabels": ["Car"]}
    turned = RectangleLabels().decode([{"original_width": 200, "original_height": 100, "value": value}])
    upright = RectangleLabels().decode([{"value": value | {"x": 20, "rotation": 0}}])

    assert RectangleLabels().distance(turned, upright) == pytest.approx(0.0, abs=1e-6)


BOX = some.tuples(*(some.floats(1, 50) for _ in range(4)), some.floats(0, 359))


@given(BOX, BOX)
def test_overlap_is_symmetric_and_in_range(a, b):
    there = box_iou(a, b)

    assert 0.0 <= there <= 1.0
    assert there == pytest.approx(box_iou(b, a), abs=1e-6)
