"""The codec of BrushLabels: labelled masks, in Label Studio's run-length encoding of the pixels of an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from ml_backend.codecs.geometry import overlap
from ml_backend.codecs.labelled_regions import Geometry, RegionCodec, RegionKind
from ml_backend.codecs.regions import read_number, region_value
from ml_backend.errors import CodecError
from ml_backend.label_config import Control
from ml_backend.number_format import format_count

_CHANNELS = 4  # red, green, blue, alpha of each pixel; the mask is where alpha is not 0
_LENGTH_BITS = (3, 4, 8, 16)  # of the lengths of runs, as the editor writes them
_LONGEST_RUN = 1 << 16
_MAX_VALUES = 1 << 32  # the encoding counts its values with 32 bits


def decode_rle(rle: Sequence[int], n_pixels: int) -> list[int]:
    """Return the pixels, counted row by row, at which a mask begins, ends, begins, ...

    `rle` are the bytes of Label Studio's encoding of `n_pixels` pixels of four channels. Nothing is unpacked, so that
    work and memory depend on the length of `rle` only; `label_studio_sdk.converter.brush` unpacks up to 4 GB, and takes
    seconds to import. CodecError where the bytes end too early, or encode another number of pixels.

    >>> decode_rle(encode_rle([2, 5, 7, 9], 9), 9)
    [2, 5, 7, 9]
    """
    bits, place = "".join(f"{byte:08b}" for byte in rle), 0

    def read(size: int) -> int:
        nonlocal place
        place += size
        if place > len(bits):
            raise CodecError("rle ends too early")
        return int(bits[place - size : place], 2)

    n_values, value_bits, length_bits = read(32), read(5) + 1, [read(4) + 1 for _ in range(4)]
    if n_values != _CHANNELS * n_pixels:
        raise CodecError(f"rle has {n_values} values, wanted {_CHANNELS} for each of {n_pixels} pixels")
    ends, at, is_inside = list[int](), 0, False
    while at < n_values:
        is_run = bool(read(1))
        length = read(length_bits[read(2)]) + 1
        for step in [length] if is_run else [1] * length:
            first, at = at, min(at + step, n_values)
            has_value = read(value_bits) > 0
            # the alpha of pixel p is value 4 p + 3: those of this run are of the pixels first // 4 to at // 4
            if first // _CHANNELS < at // _CHANNELS and has_value != is_inside:
                is_inside = has_value
                ends.append(first // _CHANNELS)
    return [*ends, n_pixels] if is_inside else ends


def encode_rle(ends: Sequence[int], n_pixels: int) -> list[int]:
    """Return Label Studio's encoding, as bytes, of a mask that `decode_rle` reads as `ends`."""
    bits = [f"{_CHANNELS * n_pixels:032b}", f"{8 - 1:05b}", *(f"{size - 1:04b}" for size in _LENGTH_BITS)]
    borders = [0, *ends, n_pixels]
    for place, (start, end) in enumerate(pairwise(borders)):
        for done in range(0, _CHANNELS * (end - start), _LONGEST_RUN):
            length = min(_CHANNELS * (end - start) - done, _LONGEST_RUN)
            bits.append(f"111{length - 1:016b}{255 if place % 2 else 0:08b}")  # a run, the fourth size, length, value
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))


def _read_mask(region: Mapping[str, Any]) -> Iterator[Geometry]:
    """Yield the width and the height of the image in pixels, and the ends of the runs of the mask."""
    rle = region_value(region).get("rle")
    if not isinstance(rle, list) or not all(type(byte) is int and 0 <= byte <= 255 for byte in rle):
        raise CodecError("rle is not a list of bytes")
    width, height = (read_number(region, name) for name in ("original_width", "original_height"))
    if not (width.is_integer() and height.is_integer() and width > 0 < height <= _MAX_VALUES / width / _CHANNELS):
        raise CodecError(f"an image has {width:g} by {height:g} pixels")
    ends = decode_rle(rle, int(width * height))
    if not ends:
        raise CodecError("a mask is empty")
    yield int(width), int(height), tuple(ends)


def _write_mask(mask: Geometry, _control: Control) -> tuple[dict[str, Any], dict[str, Any]]:
    width, height, ends = mask
    sides = {"original_width": width, "original_height": height, "image_rotation": 0}
    return {"format": "rle", "rle": encode_rle(ends, width * height)}, sides


def _mask_iou(a: Geometry, b: Geometry) -> float:
    """Return the intersection over union of two masks of one image, in [0, 1]; 0 for images of other sizes."""
    if a[:2] != b[:2]:
        return 0.0
    shared, joint = overlap(a[2], b[2])
    return shared / joint


def _describe_mask(mask: Geometry, _text: str) -> str:
    """Return how much of the image a mask covers.

    >>> _describe_mask((10, 10, (20, 45)), "")
    ' (a mask of 25 pixels, 25 % of the image)'
    """
    width, height, ends = mask
    pixels = sum(ends[1::2]) - sum(ends[::2])
    return f" (a mask of {format_count(pixels)} pixels, {100 * pixels / (width * height):.2g} % of the image)"


# The IoU of masks as in Everingham et al. (2010), doi:10.1007/s11263-009-0275-4.
BrushLabels = partial(RegionCodec, RegionKind("brushlabels", _read_mask, _write_mask, _mask_iou, _describe_mask))
