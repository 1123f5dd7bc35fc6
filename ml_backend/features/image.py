"""Image features: grey pixels, colours, histograms of oriented gradients, and vision vectors.

scikit-image has `hog`, too, for one image at a time, and would be a large dependency for this one function.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_backend.features import vision_vectors
from ml_backend.features.cache import FeatureCache
from ml_backend.features.media import Media, shown_address
from ml_backend.left_out import contained, note_left_out

if TYPE_CHECKING:
    from PIL.Image import Image

ImageRow = tuple[NDArray[np.float16]]  # (SIZE,) of one image, or (SIZE + 1024,) with the vision vector

VERSION = "image/2"  # part of every cache key: change it with every change of the features
_SIDE = 96  # images are resized to a square of this side
_CELL = 8  # pixels per side of one gradient histogram
_ANGLES = 9  # directions over 180 degrees: dark on light equals light on dark
_CELLS = _SIDE // _CELL
_BLOCKS = _CELLS - 1
_GREY = 16  # grey pixels per side
_COLOUR = 4  # colour fields per side
_BATCH = 32  # images at a time: each takes about 2 MB while its gradients are counted
BLOCKS = (_GREY**2, 3 * _COLOUR**2, _BLOCKS**2 * 4 * _ANGLES)  # 256 grey pixels, 48 colours, 4,356 gradients
SIZE = sum(BLOCKS)


def image_rows(
    addresses: Sequence[str], media: Media, cache: FeatureCache[ImageRow] | None = None, *, vision: bool = False
) -> list[ImageRow | None]:
    """Return the features of each image, with `vision` also its vision vector; None for one that cannot be opened.

    The cache assumes that an address keeps showing the same image.
    """
    if cache is None:
        return _compute(addresses, media, vision=vision)
    kind = f"{VERSION} with {vision_vectors.VERSION}" if vision else VERSION
    return cache.rows(kind, addresses, lambda unknown: _compute(unknown, media, vision=vision))


def image_features(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the features of pixels in [0, 1], shape (n, 96, 96, 3), as `BLOCKS` orders them, shape (n, SIZE)."""
    grey = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.hstack([_means(grey[..., None], _GREY), _means(pixels, _COLOUR), hog(grey)])


def feature_quarters() -> NDArray[np.int64]:
    """Return for each feature its quarter of the image, counted row by row, shape (SIZE,)."""
    half = np.arange(_CELLS) * 2 // _CELLS
    cells = 2 * half[:, None] + half
    grey, colour = (np.kron([[0, 1], [2, 3]], np.ones((side // 2, side // 2), np.int64)) for side in (_GREY, _COLOUR))
    parts = [cells[i : i + _BLOCKS, j : j + _BLOCKS, None] for i in (0, 1) for j in (0, 1)]
    edges = np.concatenate([np.repeat(part, _ANGLES, axis=2) for part in parts], axis=2)
    return np.concatenate([grey.ravel(), np.repeat(colour.ravel(), 3), edges.ravel()])


def hog(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return histograms of oriented gradients, shape (n, 4356), of grey pixels, shape (n, 96, 96).

    Nine directions over 180 degrees, cells of 8 x 8 pixels, blocks of 2 x 2 cells with values cut at 0.2 and a length
    of at most 1. Dalal and Triggs (2005), https://doi.org/10.1109/CVPR.2005.177.
    """
    n = len(grey)
    across, down = np.zeros_like(grey), np.zeros_like(grey)
    across[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
    down[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
    strength = np.hypot(across, down)
    # each edge counts for its two nearest directions, so that a small turn is a small change
    turn = np.mod(np.arctan2(down, across) / np.pi, 1.0) * _ANGLES
    low = np.floor(turn).astype(np.int64)
    share = turn - low
    pixel = np.arange(_SIDE) // _CELL
    cell = (np.arange(n)[:, None, None] * _CELLS + pixel[:, None]) * _CELLS + pixel
    length = n * _CELLS**2 * _ANGLES
    first, second = cell * _ANGLES + low % _ANGLES, cell * _ANGLES + (low + 1) % _ANGLES
    histogram = np.bincount(first.ravel(), (strength * (1 - share)).ravel(), minlength=length)
    histogram += np.bincount(second.ravel(), (strength * share).ravel(), minlength=length)
    cells = histogram.reshape(n, _CELLS, _CELLS, _ANGLES)
    blocks = np.concatenate([cells[:, i : i + _BLOCKS, j : j + _BLOCKS] for i in (0, 1) for j in (0, 1)], axis=3)
    blocks = np.minimum(_unit(blocks), 0.2)  # one strong edge must not hide all others
    return _unit(blocks).reshape(n, -1).astype(np.float32)


def _means(pixels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    n, _, _, colours = pixels.shape
    fields: NDArray[np.float32] = pixels.reshape(n, side, _SIDE // side, side, _SIDE // side, colours).mean(axis=(2, 4))
    return fields.reshape(n, -1)


def _unit(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    epsilon = 1e-2  # keeps the noise of a nearly even block small
    return blocks / np.sqrt((blocks**2).sum(axis=3, keepdims=True) + epsilon**2)  # type: ignore[no-any-return]


def _compute(addresses: Sequence[str], media: Media, *, vision: bool) -> list[ImageRow | None]:
    rows: list[ImageRow | None] = [None] * len(addresses)
    until_s = time.monotonic() + media.within_s
    for start in range(0, len(addresses), _BATCH):
        opened: dict[int, Image] = {}
        for place in range(start, min(start + _BATCH, len(addresses))):
            if time.monotonic() > until_s:
                late = f"the images of one request took longer than {media.within_s:.0f} s"
                note_left_out("open the image", f"{len(addresses) - place} images", late)
                break
            with contained("open the image", shown_address(addresses[place])):
                opened[place] = media.open_image(addresses[place], size=vision_vectors.SIDE if vision else _SIDE)
        if opened:
            found = image_features(np.stack([_pixels(image) for image in opened.values()]))
            if vision:
                found = np.hstack([found, vision_vectors.vision_vectors([*opened.values()])])
            for place, row in zip(opened, found.astype(np.float16), strict=True):
                rows[place] = (row,)
        if time.monotonic() > until_s:
            break
    return rows


def _pixels(image: Image) -> NDArray[np.float32]:
    small = image.resize((_SIDE, _SIDE), resample=2, reducing_gap=2.0)  # 2: bilinear, averaged when shrinking
    return np.asarray(small, np.float32) / np.float32(255)
