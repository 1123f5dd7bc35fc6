"""Decode images of tasks at a bounded cost in memory: the header says what an image will take before it is decoded."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from ml_backend.errors import BackendError

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")  # what browsers show; Pillow's other readers are not used
_PIXEL_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2}  # in Pillow's memory; the other modes take four
_PROGRESSIVE_BYTES = 2  # of each colour of each pixel: libjpeg keeps all coefficients
_WEBP_BYTES = 12  # of each pixel: libwebp's canvas, and Pillow's copy of it
_REDUCIBLE = ("L", "RGB")  # modes in which Pillow averages pixels without a copy of the image
_STRIP_PIXELS = 1 << 20  # of an image in another mode, which are converted at a time
_WAIT_S = 30.0  # for other threads of this process that decode


class MediaError(BackendError):
    """An image of a task cannot be opened: it is missing, too large, broken, or not allowed."""


class DecodingBudget:
    """The bytes that all threads of a process may hold in decoded images at once; further ones wait.

    >>> budget = DecodingBudget(max_bytes=100)
    >>> with budget.reserve(60):
    ...     budget.used_bytes
    60
    """

    def __init__(self, max_bytes: int = 400 << 20, *, wait_s: float = _WAIT_S) -> None:
        self.used_bytes = 0
        self._max_bytes, self._wait_s = max_bytes, wait_s
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, n_bytes: int) -> Iterator[None]:
        """Hold bytes while a block runs; MediaError where an image needs more than all, or too long has no place."""
        if n_bytes > self._max_bytes:
            raise MediaError(
                f"the image needs {n_bytes >> 20} MiB to be decoded; the limit is {self._max_bytes >> 20}."
            )
        with self._changed:
            if not self._changed.wait_for(lambda: self.used_bytes + n_bytes <= self._max_bytes, self._wait_s):
                raise MediaError(f"other images were decoded for {self._wait_s:.0f} s; this one had to wait too long.")
            self.used_bytes += n_bytes
        try:
            yield
        finally:
            with self._changed:
                self.used_bytes -= n_bytes
                self._changed.notify_all()


_PROCESS = DecodingBudget()  # memory is the process's, however many models and requests use it


def decode_image(data: bytes, *, size: int, max_pixels: int, budget: DecodingBudget = _PROCESS) -> Image:
    """Return the first frame of an image, upright, in 8-bit RGB on white; MediaError where it cannot be opened.

    It is reduced, but keeps at least `size` pixels per side where it has them.
    """
    # reason: Pillow is half of the imports at start, and text projects never need it
    from PIL import Image, ImageOps

    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        if image.width * image.height > max_pixels:
            raise MediaError(  # noqa: TRY301 - the other errors of this block come from Pillow
                f"the image has {image.width} x {image.height} pixels, more than {max_pixels}."
            )
        compressed = image.width * image.height * _compressed_bytes(image)  # a draft changes the size
        image.draft("RGB", (2 * size, 2 * size))  # lets a JPEG be decoded at an eighth of its size
        decoded = image.width * image.height * _PIXEL_BYTES.get(image.mode, 4)
        with budget.reserve(compressed + decoded):
            return _to_rgb(ImageOps.exif_transpose(_reduce(image, size)))
    except MediaError:
        raise
    except Exception as error:
        # Pillow's readers may raise anything on a hostile file
        raise MediaError(f"the image cannot be read: {type(error).__name__}: {str(error)[:120]}") from error


def _compressed_bytes(image: Image) -> int:
    """Return the memory of each pixel that the decoder takes beside the decoded image, from the header."""
    if image.format == "WEBP":
        return _WEBP_BYTES
    return len(image.getbands()) * _PROGRESSIVE_BYTES if "progressive" in image.info else 0


def _reduce(image: Image, size: int) -> Image:
    """Average blocks of pixels before anything is copied, so that a large image is in memory only once."""
    shorter = max(1, min(image.size) // (2 * size))
    factors = (shorter, shorter)
    if image.width * image.height > _STRIP_PIXELS * shorter**2:  # long and narrow: each side has its own factor
        factors = (max(1, image.width // (2 * size)), max(1, image.height // (2 * size)))
    if factors == (1, 1):
        return image
    if image.mode in _REDUCIBLE and "transparency" not in image.info:
        return image.reduce(factors)
    return _reduce_in_strips(image, factors)


def _reduce_in_strips(image: Image, factors: tuple[int, int]) -> Image:
    """Convert and average strip by strip: a conversion of the whole would take up to sixteen bytes of each pixel."""
    from PIL import Image

    across, down = factors
    image.load()
    levels = _levels(image, down) if _is_deep(image) else None
    small = Image.new("RGB", (-(-image.width // across), -(-image.height // down)))
    for top in _strips(image, down):
        strip = image.crop((0, top, image.width, min(image.height, top + _strip_height(image, down))))
        strip.info = {name: image.info[name] for name in ("transparency",) if name in image.info}
        small.paste(_to_rgb(strip, levels).reduce(factors), (0, top // down))
    small.info = {name: image.info[name] for name in ("exif",) if name in image.info}
    return small


def _strip_height(image: Image, down: int) -> int:
    return max(1, _STRIP_PIXELS // (image.width * down)) * down


def _strips(image: Image, down: int) -> range:
    return range(0, image.height, _strip_height(image, down))


def _is_deep(image: Image) -> bool:
    """Return whether an image has more than 8 bits: Pillow would cut them at 255, so they are scaled."""
    return image.mode.startswith(("I", "F"))


def _levels(image: Image, down: int) -> tuple[float, float]:
    """Return the lowest and the highest level of a deep image."""
    low, high = np.inf, -np.inf
    for top in _strips(image, down):
        strip = np.asarray(image.crop((0, top, image.width, min(image.height, top + _strip_height(image, down)))))
        low, high = min(low, float(strip.min())), max(high, float(strip.max()))
    return low, high


def _to_rgb(image: Image, levels: tuple[float, float] | None = None) -> Image:
    """Convert to 8-bit RGB; transparent parts become white, as on a page."""
    from PIL import Image

    if _is_deep(image):
        low, high = levels or _levels(image, 1)
        shades = np.asarray(image, np.float32) - np.float32(low)
        image = Image.fromarray((shades * np.float32(255.0 / max(high - low, 1.0))).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")
