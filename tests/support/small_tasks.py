"""A few dozen tasks that any classifier can learn: texts about three things, and drawings of three shapes."""

from __future__ import annotations

import base64
import io
import random

import numpy as np

from ml_backend.label_config import Control

TEXT = Control("topic", "text", "choices", ("refund", "delivery", "login"), False, "text", "text")
IMAGE = Control("shape", "image", "choices", ("bar", "cross", "dot"), False, "image", "image")

_WORDS = {
    "refund": "money back refund charged invoice twice card payment",
    "delivery": "parcel late courier address tracking arrived damaged box",
    "login": "password reset account locked email code sign browser",
}
_FILL = "please the my is was help with a today again why can you not"


def texts(n: int = 60, *, seed: int = 0) -> tuple[list[dict[str, str]], list[str]]:
    """Task data and labels, the classes in turn."""
    draw = random.Random(seed)
    labels = [sorted(_WORDS)[place % 3] for place in range(n)]
    data = [
        {"text": " ".join(draw.choices(_WORDS[label].split(), k=3) + draw.choices(_FILL.split(), k=6))}
        for label in labels
    ]
    return data, labels


def images(n: int = 45, *, seed: int = 0) -> tuple[list[dict[str, str]], list[str]]:
    """Task data as PNG data URIs and labels, the classes in turn."""
    draw = np.random.default_rng(seed)
    labels = [IMAGE.labels[place % 3] for place in range(n)]
    return [{"image": data_uri(_drawing(label, draw))} for label in labels], labels


def data_uri(pixels: np.ndarray, kind: str = "PNG") -> str:
    """An array of bytes as the data URI of an image."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def _drawing(label: str, draw: np.random.Generator) -> np.ndarray:
    pixels = draw.integers(0, 60, (24, 24)).astype(np.uint8)
    x, y = draw.integers(8, 15, 2)
    if label in ("bar", "cross"):
        pixels[2:22, x] = 255
    if label == "cross":
        pixels[y, 2:22] = 255
    if label == "dot":
        pixels[y - 2 : y + 3, x - 2 : x + 3] = 255
    return pixels
