"""Masks in Label Studio's encoding: read as its own SDK reads them, and no small answer unpacks into gigabytes."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from typing import Any

import label_studio_sdk
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from ml_backend.codecs import decode_result, get_codec
from ml_backend.codecs.masks import decode_rle, encode_rle
from ml_backend.errors import CodecError
from ml_backend.records import Answer


def load_sdk() -> Any:
    """`label_studio_sdk.converter.brush` without its package, which takes seconds to import."""
    path = Path(label_studio_sdk.__file__).parent / "converter" / "brush.py"
    spec = importlib.util.spec_from_file_location("brush_of_the_sdk", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


SDK = load_sdk()
MASK = some.lists(some.booleans(), min_size=1, max_size=60).map(lambda pixels: np.array(pixels, dtype=np.uint8) * 255)


def ends_of(mask: np.ndarray) -> list[int]:
    """Where a flat mask begins, ends, begins, ..."""
    return np.flatnonzero(np.diff(mask > 0, prepend=False, append=False)).tolist()


@given(MASK)
def test_masks_are_read_and_written_as_the_sdk_does(mask: np.ndarray):
    ends = ends_of(mask)

    assert decode_rle(SDK.encode_rle(np.repeat(mask, 4)), len(mask)) == ends
    assert decode_rle(encode_rle(ends, len(mask)), len(mask)) == ends
    assert (SDK.decode_rle(encode_rle(ends, len(mask)))[3::4] == mask).all()


def test_runs_that_are_longer_than_the_encoding_counts_are_written_in_parts():
    ends = [1_000, 900_000]

    assert decode_rle(encode_rle(ends, 1_000_000), 1_000_000) == ends


def test_what_is_painted_in_a_colour_is_in_the_mask_by_its_alpha():
    red = np.array([[255, 0, 0, 0], [255, 0, 0, 9], [0, 0, 0, 255], [0, 0, 0, 0]], dtype=np.uint8)

    assert decode_rle(SDK.encode_rle(red.ravel()), 4) == [1, 3]


@pytest.mark.parametrize(
    ("rle", "problem"),
    [
        ([255] * 4, "ends too early"),
        ([0, 0, 0, 16, *encode_rle([1, 2], 4)[4:-3]], "ends too early"),
        (encode_rle([1, 2], 9), "36 values, wanted 4 for each of 4 pixels"),
        (encode_rle([], 4), "a mask is empty"),
        ([256], "not a list of bytes"),
        ([True], "not a list of bytes"),
    ],
)
def test_bytes_that_are_no_mask_are_a_stated_problem(rle: list[int], problem: str):
    region = {"value": {"rle": rle, "brushlabels": ["A"]}, "original_width": 2, "original_height": 2}

    with pytest.raises(CodecError, match=problem):
        get_codec("brushlabels").decode([region])


def test_a_few_bytes_that_stand_for_a_huge_image_are_not_unpacked():
    width, height = 30_000, 30_000
    rle = encode_rle([5, width * height - 5], width * height)
    region = {"value": {"rle": rle, "brushlabels": ["A"]}, "original_width": width, "original_height": height}
    start = time.perf_counter()

    answer = get_codec("brushlabels").decode([region])

    assert answer.value == ((width, height, (5, width * height - 5), "A"),)
    assert time.perf_counter() - start < 2.0


def test_masks_are_compared_by_the_pixels_that_both_paint():
    left, right, other = (Answer("brushlabels", ((10, 10, ends, "A"),)) for ends in ((0, 20), (10, 30), (50, 60)))
    of_another_image = Answer("brushlabels", ((20, 5, (0, 20), "A"),))
    distance = get_codec("brushlabels").distance

    assert distance(left, right) == pytest.approx(1 - 10 / 30)
    assert distance(left, other) == distance(left, of_another_image) == 1.0


def test_a_mask_is_described_by_its_size():
    region = {
        "from_name": "m", "to_name": "i", "type": "brushlabels", "original_width": 10, "original_height": 10,
        "value": {"format": "rle", "rle": encode_rle([20, 45], 100), "brushlabels": ["Sky"]},
    }  # fmt: skip

    answer = decode_result([region]).answers["m"]

    assert get_codec("brushlabels").describe(answer) == "Sky (a mask of 25 pixels, 25 % of the image)"
