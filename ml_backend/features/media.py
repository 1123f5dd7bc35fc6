"""Open the images of tasks within limits: data URIs directly, other addresses only with a given fetcher."""

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

_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")  # what browsers show; Pillow's other readers are not used
_MAX_SHOWN = 80  # characters of an address in a message


class MediaError(BackendError):
    """An image of a task cannot be opened: it is missing, too large, broken, or not allowed."""


Fetch = Callable[[str], bytes]  # an address to its bytes, with a time limit of its own; raises MediaError


def refuse_fetch(address: str) -> bytes:
    """Raise MediaError: the default fetcher, so that no task can make the service open a file or call a host."""
    raise MediaError(
        f"{address[:_MAX_SHOWN]!r} is not a data URI, and there is no fetcher for other addresses.",
        hint="Import images as data URIs, or give the recipe Media(fetch=...).",
    )


@dataclass(frozen=True, slots=True)
class Media:
    """How media are fetched, and how large they may be."""

    fetch: Fetch = refuse_fetch
    max_bytes: int = 32 << 20  # of the file
    max_pixels: int = 50_000_000  # of the opened image: allows a large photograph, not a decompression bomb

    def read_bytes(self, value: Any) -> bytes:
        """Return the bytes of a task's value, an address; MediaError where they cannot be read."""
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

    def open_image(self, value: Any, *, size: int) -> Image:
        """Return the image of a task's value, upright, in RGB on white; MediaError where it cannot be opened.

        It is reduced, but keeps at least `size` pixels per side where it has them.
        """
        # reason: Pillow is half of the imports at start, and text projects never need it
        from PIL import Image, ImageOps

        data = self.read_bytes(value)
        try:
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
            if image.width * image.height > self.max_pixels:
                raise MediaError(  # noqa: TRY301 - the other errors of this block come from Pillow
                    f"the image has {image.width} x {image.height} pixels, more than {self.max_pixels}."
                )
            image.draft("RGB", (2 * size, 2 * size))  # lets a JPEG be decoded at an eighth of its size
            # reduced before it is copied, so that a large image is in memory only once
            factor = min(image.size) // (2 * size)
            if factor > 1 and image.mode in ("L", "LA", "RGB", "RGBA"):
                image = image.reduce(factor)  # type: ignore[assignment]
            return _rgb(ImageOps.exif_transpose(image))
        except MediaError:
            raise
        except Exception as error:
            # Pillow's readers may raise anything on a hostile file
            raise MediaError(f"the image cannot be read: {type(error).__name__}: {str(error)[:120]}") from error


def media_address(data: Mapping[str, Any], field: str) -> str | None:
    """Return the address in a field of a task's data; None where there is none."""
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


def _rgb(image: Image) -> Image:
    """Convert to 8-bit RGB; transparent parts become white, as on a page."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):  # more than 8 bits: Pillow would cut them at 255, so scale them
        levels = np.asarray(image, np.float64)
        levels -= levels.min()
        image = Image.fromarray((levels * (255.0 / max(levels.max(), 1.0))).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image.convert("RGB")
