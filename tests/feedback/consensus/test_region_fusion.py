"""Fusion of spans and boxes."""

import pytest

from feedback.consensus.region_fusion import fuse_regions
from ml_backend.records import Answer


def spans(*regions):
    return Answer("labels", tuple(sorted(regions)))


def boxes(*regions):
    return Answer("rectanglelabels", tuple(sorted((*sides, 0.0, 1.0, label) for *sides, label in regions)))


def test_spans_that_most_people_mean_are_kept_with_median_ends():
    fused = fuse_regions(
        [
            spans((0, 5, "PER"), (20, 30, "ORG")),
            spans((0, 6, "PER"), (20, 30, "ORG"), (40, 44, "LOC")),
            spans((0, 5, "PER")),
        ]
    )

    assert [item.region for item in fused] == [(0, 5, "PER"), (20, 30, "ORG")]
    assert [item.support for item in fused] == pytest.approx([1.0, 2 / 3])


def test_a_label_that_differs_is_another_span():
    assert fuse_regions([spans((0, 5, "PER")), spans((0, 5, "ORG"))]) == ()
    assert [item.region for item in fuse_regions([spans((0, 5, "PER")), spans((0, 5, "ORG"))], weights=[3, 1])] == [
        (0, 5, "PER")
    ]


def test_boxes_are_fused_by_their_edges():
    fused = fuse_regions(
        [
            boxes((10, 10, 20, 20, "Car")),
            boxes((12, 10, 20, 20, "Car")),
            boxes((11, 12, 20, 20, "Car"), (70, 70, 5, 5, "Car")),
        ]
    )

    assert [item.region for item in fused] == [(11.0, 10.0, 20.0, 20.0, 0.0, 1.0, "Car")]


def test_two_boxes_of_one_person_never_become_one():
    twins = boxes((10, 10, 20, 20, "Car"), (12, 10, 20, 20, "Car"))

    assert len(fuse_regions([twins, twins, twins])) == 2


def test_turned_boxes_are_chosen_and_not_averaged():
    def turned(angle):
        return Answer("rectanglelabels", ((30.0, 30.0, 20.0, 20.0, angle, 1.0, "Car"),))

    assert fuse_regions([turned(1.0), turned(2.0), turned(3.0)])[0].region[4] == 2.0
