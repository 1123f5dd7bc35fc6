"""Bytes that a task shows, opened within limits: data URIs here, anything else only by a fetcher that was handed in."""

from __future__ import annotations

import binascii
import io
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import numpy as np

from ml_backend.errors import BackendError
from ml_backend.records import field_value

if TYPE_CHECKING:
    from PIL.Image import Image

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")  # what browsers show; Pillow's other readers stay shut
_MAX_NAME = 80  # of an address, in a message


class MediaError(BackendError):
    """What a task shows cannot be opened: not there, too large, broken, or not ours to fetch."""


Fetch = Callable[[str], bytes]  # an address to its bytes, within a time of its own; MediaError says why not


def refuse(address: str) -> bytes:
    """Fetch nothing: the default, so that no task can make the service open a file or call a host."""
    raise MediaError(
        f"{address[:_MAX_NAME]!r} is not a data URI, and no fetcher was handed in to get it.",
        hint="Import images as data URIs, or give the recipe Media(fetch=...).",
    )


@dataclass(frozen=True, slots=True)
class Media:
    """How media are opened, and how large they may be."""

    fetch: Fetch = refuse
    max_bytes: int = 32 << 20  # of the file
    max_pixels: int = 50_000_000  # of the opened image: a large photograph, not a decompression bomb

    def bytes_of(self, value: Any) -> bytes:
        """The bytes behind a task's value; MediaError with the reason otherwise.

        >>> Media().bytes_of("data:text/plain;base64,aGk=")
        b'hi'
        """
        if not isinstance(value, str) or not value:
            raise MediaError(f"wanted the address of an image, got {type(value).__name__}.")
        if value[:5].lower() != "data:":
            data = self.fetch(value)
        else:
            if len(value) > 3 * self.max_bytes + 1_000:  # percent signs take three characters a byte
                raise MediaError(f"the data URI has {len(value)} characters; the limit is {self.max_bytes} bytes.")
            data = _data_uri(value)
        if len(data) > self.max_bytes:
            raise MediaError(f"the image has {len(data)} bytes; the limit is {self.max_bytes}.")
        return data

    def image(self, value: Any, *, size: int) -> Image:
        """The image behind a task's value, upright, RGB on white, at least `size` pixels a side where it has them.

        MediaError for whatever is not one.
        """
        # reason: Pillow is half of a cold start's imports, and text projects never need it
        from PIL import Image, ImageOps

        data = self.bytes_of(value)
        try:
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
            self._check_pixels(image)
            image.draft("RGB", (2 * size, 2 * size))  # a JPEG is decoded at an eighth, where that is enough
            return _rgb(ImageOps.exif_transpose(_reduced(image, 2 * size)))
        except MediaError:
            raise
        except Exception as error:
            # so broad because Pillow's readers raise whatever a hostile file makes them do
            raise MediaError(f"the image cannot be read: {type(error).__name__}: {str(error)[:120]}") from error

    def _check_pixels(self, image: Image) -> None:
        if image.width * image.height > self.max_pixels:
            raise MediaError(f"the image has {image.width} x {image.height} pixels, more than {self.max_pixels}.")


def media_address(data: Mapping[str, Any], field: str) -> str | None:
    """The address that this field holds; None when there is none.

    >>> media_address({"image": "data:,"}, "image")
    'data:,'
    """
    value = field_value(data, field)
    return value if isinstance(value, str) and value else None


def _data_uri(value: str) -> bytes:
    head, comma, body = value.partition(",")
    if not comma:
        raise MediaError("the data URI has no comma, so no data.")
    try:
        if head.rstrip().lower().endswith(";base64"):
            return b64decode("".join(body.split()), validate=True)
        return unquote_to_bytes(body)
    except (binascii.Error, ValueError) as error:
        raise MediaError(f"the data URI is not base64: {error}") from error


def _reduced(image: Image, size: int) -> Image:
    """Many pixels averaged into few before anything is copied: a large image is held in memory once."""
    factor = min(image.size) // size
    return image.reduce(factor) if factor > 1 and image.mode in ("L", "LA", "RGB", "RGBA") else image


def _rgb(image: Image) -> Image:
    """Eight bits and three colours, whatever the file has; what is transparent becomes white, as on a page."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):  # more than 8 bits: Pillow would cut them off at 255, so they are stretched
        levels = np.asarray(image, np.float64)
        levels -= levels.min()
        image = Image.fromarray((levels * (255.0 / max(levels.max(), 1.0))).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")
