"""Images are decoded at a bounded cost in memory; reduced ones look like the large ones, and broken ones are errors."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ml_backend.features.image_decoding import DecodingBudget, MediaError, decode_image

SIZE = 16
MAX_PIXELS = 50_000_000


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(data: bytes, *, size: int = SIZE, **options: Any) -> np.ndarray:
    return np.asarray(decode_image(data, size=size, max_pixels=MAX_PIXELS, **options), np.float32)


def slope(height: int = 700, width: int = 900) -> np.ndarray:
    """Light that grows from the left to the right and from the top to the bottom, in [0, 1]."""
    return np.add.outer(np.linspace(0.0, 0.5, height), np.linspace(0.0, 0.5, width))


def shades(mode: str) -> Image.Image:
    bright = slope()
    if mode == "I;16":
        return Image.fromarray((bright * 40_000).astype(np.uint16))
    grey = Image.fromarray((bright * 255).astype(np.uint8))
    return grey.convert("RGB").quantize(256) if mode == "P" else grey.convert(mode)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_reduced_image_is_the_average_of_the_large_one_in_every_mode(mode: str):
    pixels = decoded(encoded(shades(mode)))

    height, width, _ = pixels.shape
    assert min(height, width) >= SIZE
    assert np.abs(pixels[..., 0] - slope(height, width) * 255).mean() < 6


@pytest.mark.parametrize("side", [4, 500])
def test_transparent_parts_are_white_as_on_a_page(side: int):
    layers = [Image.new("RGBA", (side, side), (red, 0, 0, 0)) for red in (0, 255)]
    palette = Image.new("P", (side, side), 0)

    assert [decoded(encoded(layer)).min() for layer in layers] == [255, 255]
    assert decoded(encoded(palette, transparency=0)).min() == 255


def test_sixteen_bits_are_stretched_not_cut():
    levels = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)

    pixels = decoded(encoded(Image.fromarray(levels)))

    assert pixels[0, 0, 0] == 0
    assert pixels[-1, -1, 0] == 255
    assert 100 < pixels[4, 0, 0] < 155


def test_a_large_image_is_made_small():
    draw = np.random.default_rng(0)
    big = np.repeat(np.repeat(draw.integers(0, 255, (8, 8)), 100, 0), 100, 1).astype(np.uint8)

    for array, kind in ((big, "PNG"), (big, "JPEG"), (np.dstack([big] * 3), "PNG")):
        pixels = decoded(encoded(Image.fromarray(array), kind), size=32)

        assert 32 <= min(pixels.shape[:2]) <= 200
        assert abs(int(pixels[4, 4, 0]) - int(big[50, 50])) <= 3


def test_a_photograph_is_turned_as_its_camera_was():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter

    pixels = decoded(encoded(Image.new("RGB", (20, 10)), "JPEG", exif=exif))

    assert pixels.shape == (20, 10, 3)


@pytest.mark.parametrize("shape", [(40, 60_000), (60_000, 40)])
def test_a_long_and_narrow_image_is_reduced_on_its_long_side(shape: tuple[int, int]):
    pixels = decoded(encoded(Image.fromarray(np.full(shape, 77, np.uint8))))

    assert max(pixels.shape) <= 4 * SIZE or pixels.size < 3 * 2_000_000
    assert pixels.min() == pixels.max() == 77


def test_only_the_first_frame_is_decoded():
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("red", "blue", "blue")]
    for kind in ("GIF", "WEBP", "PNG"):
        pixels = decoded(encoded(frames[0], kind, save_all=True, append_images=frames[1:]))

        assert pixels[5, 5, 0] > 200, kind


@pytest.mark.parametrize(
    ("kind", "side", "options", "mib"),
    [("PNG", 2000, {}, 15), ("JPEG", 2000, {"progressive": True}, 22), ("WEBP", 1000, {}, 14)],
)
def test_an_image_that_would_take_more_than_all_is_refused_by_its_header(
    kind: str, side: int, options: dict[str, Any], mib: int
):
    data = encoded(Image.new("RGB", (side, side)), kind, **options)

    with pytest.raises(MediaError, match="MiB to be decoded; the limit is"):
        decoded(data, budget=DecodingBudget(mib << 20))
    assert decoded(data, budget=DecodingBudget(2 * mib << 20)).max() == 0


@pytest.mark.parametrize("side", [9_000, 60_000])  # below and above the size at which Pillow itself takes fright
def test_a_decompression_bomb_is_refused_by_its_header(side: int):
    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = chunk(b"IHDR", side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0]))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")

    with pytest.raises(MediaError, match=r"pixels|Decompression"):
        decoded(bomb)


def test_broken_files_are_one_kind_of_error():
    whole = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8)))

    for data in (b"", b"not an image", whole[: len(whole) // 2], b"%PDF-1.4", b"II*\x00" + bytes(40)):
        with pytest.raises(MediaError):
            decoded(data)
    for place in range(8, 60, 3):
        with suppress(MediaError):  # a flipped bit may leave an image
            decoded(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])


def test_threads_wait_for_each_other_and_not_for_ever():
    budget = DecodingBudget(100, wait_s=0.05)
    together, most = threading.Barrier(4), list[int]()

    def hold() -> None:
        together.wait()
        for _ in range(20):
            try:
                with budget.reserve(60):
                    most.append(budget.used_bytes)
            except MediaError:
                pass

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert max(most) == 60
    assert budget.used_bytes == 0
    with budget.reserve(100), pytest.raises(MediaError, match="wait too long"), budget.reserve(1):
        pass


_THREE_AT_ONCE = """
import io, resource, threading
import numpy as np
from PIL import Image
from ml_backend.features.media import Media
file = io.BytesIO()
Image.fromarray(np.zeros((7000, 7000), np.uint16)).save(file, "PNG")
media = Media(fetch=lambda _address: file.getvalue())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
threads = [threading.Thread(target=media.open_image, args=("x",), kwargs={"size": 32}) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(file.getvalue()) >> 10, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def test_three_sixteen_bit_images_at_once_take_what_they_hold_and_not_eight_times_that():
    done = subprocess.run([sys.executable, "-c", _THREE_AT_ONCE], capture_output=True, text=True, check=True)

    file_kib, grown_mib = map(int, done.stdout.split())
    assert file_kib < 200
    assert grown_mib < 400  # 98 MB an image
