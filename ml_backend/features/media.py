"""The images that tasks show: which addresses are opened, and how large their images may be."""

from __future__ import annotations

import binascii
import math
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from ml_backend.features.image_decoding import MediaError, decode_image
from ml_backend.records import field_value

if TYPE_CHECKING:
    from PIL.Image import Image

_MAX_SHOWN = 80  # characters of an address in a message
_BUCKETS = ("abfs", "abfss", "azure-blob", "gs", "s3", "s3a", "wasb", "wasbs")
Fetch = Callable[[str], bytes]  # an address to its bytes, with a time limit of its own; raises MediaError


@dataclass(frozen=True, slots=True)
class Media:
    """How media are fetched, and how large they may be."""

    fetch: Fetch | None = None  # by default no task can make the service open a file or call a host
    max_bytes: int = 32 << 20  # of the file
    max_pixels: int = 50_000_000  # of the opened image: allows a large photograph, not a decompression bomb
    within_s: float = math.inf  # all images of one call, after which nobody waits for the others

    def read_bytes(self, value: Any) -> bytes:
        """Return the bytes of a task's value, an address; MediaError where they cannot be read."""
        if not isinstance(value, str) or not value:
            raise MediaError(f"wanted the address of an image, got {type(value).__name__}.")
        if value[:5].lower() != "data:":
            if self.fetch is None:
                what = f"{value[:_MAX_SHOWN]!r} is not a data URI, and there is no fetcher for other addresses."
                raise MediaError(what, hint="Import images as data URIs, or give the recipe Media(fetch=...).")
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
        return decode_image(self.read_bytes(value), size=size, max_pixels=self.max_pixels)


def media_address(data: Mapping[str, Any], field: str) -> str | None:
    """Return the address in a field of a task's data; None where there is none."""
    value = field_value(data, field)
    return value if isinstance(value, str) and value else None


def is_bucket_address(text: str) -> bool:
    """Return whether a text is an address in a bucket, such as "s3://photos/1.png": Label Studio has the keys."""
    scheme, sign, _rest = text.partition("://")
    return bool(sign) and scheme.lower() in _BUCKETS and len(text.split()) == 1


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


def shown_address(address: str) -> str:
    """Return an address for a message, without its query, which may contain a signature."""
    return repr(address.partition("?")[0][:_MAX_SHOWN])
