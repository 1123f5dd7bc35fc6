import base64
import io
import zlib

import numpy as np
import pytest
from PIL import Image

from ml_backend.features.media import Media, MediaError, media_address
from tests.support.small_tasks import data_uri

GREY = np.full((10, 20), 200, np.uint8)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return "data:image/x;base64," + base64.b64encode(file.getvalue()).decode()


def opened(uri):
    return np.asarray(Media().open_image(uri, size=32))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_images_of_every_usual_kind_open_as_rgb(kind):
    pixels = opened(data_uri(GREY, kind))

    assert pixels.shape == (10, 20, 3)
    assert abs(int(pixels[5, 5, 0]) - 200) <= 2


def test_transparent_parts_are_white_as_on_a_page():
    layer = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    palette = Image.new("P", (4, 4), 0)

    assert opened(encoded(layer)).min() == 255
    assert opened(encoded(palette, transparency=0)).min() == 255


def test_sixteen_bits_are_stretched_not_cut():
    levels = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)

    pixels = opened(encoded(Image.fromarray(levels)))

    assert pixels[0, 0, 0] == 0
    assert pixels[-1, -1, 0] == 255
    assert 100 < pixels[4, 0, 0] < 155


def test_a_large_image_is_handed_on_small():
    draw = np.random.default_rng(0)
    big = np.repeat(np.repeat(draw.integers(0, 255, (8, 8)), 100, 0), 100, 1).astype(np.uint8)

    for uri in (data_uri(big), data_uri(big, "JPEG"), data_uri(np.dstack([big] * 3))):
        pixels = opened(uri)

        assert 32 <= min(pixels.shape[:2]) <= 200
        assert abs(int(pixels[4, 4, 0]) - int(big[50, 50])) <= 3


def test_a_photograph_is_turned_as_its_camera_was():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter

    pixels = opened(encoded(Image.new("RGB", (20, 10)), "JPEG", exif=exif))

    assert pixels.shape == (20, 10, 3)


def test_a_data_uri_may_be_written_with_percent_signs_or_broken_lines():
    uri = data_uri(GREY)
    head, _, body = uri.partition(",")
    raw = base64.b64decode(body)

    assert Media().read_bytes("data:image/png," + "".join(f"%{byte:02x}" for byte in raw)) == raw
    assert Media().read_bytes(f"{head},{body[:40]}\n  {body[40:]}") == raw


@pytest.mark.parametrize(
    "address",
    [
        "http://169.254.169.254/latest",
        "https://example.org/a.png",
        "file:///etc/passwd",
        "/data/upload/1/a.png",
        "s3://b/a",
    ],
)
def test_nothing_is_fetched_without_a_fetcher(address):
    with pytest.raises(MediaError, match="there is no fetcher"):
        Media().read_bytes(address)


def test_a_fetcher_that_was_handed_in_is_asked_within_the_limits():
    asked = []

    def fetch(address):
        asked.append(address)
        return b"x" * 11

    with pytest.raises(MediaError, match="11 bytes; the limit is 10"):
        Media(fetch=fetch, max_bytes=10).read_bytes("/data/upload/1/a.png")
    assert asked == ["/data/upload/1/a.png"]


def test_a_file_beyond_the_limit_is_refused_before_it_is_decoded():
    with pytest.raises(MediaError, match="limit"):
        Media(max_bytes=1_000).read_bytes("data:image/png;base64," + "A" * 10_000)
    with pytest.raises(MediaError, match="limit"):
        Media(max_bytes=1_000).read_bytes("data:image/png;base64," + "A" * 2_000)


@pytest.mark.parametrize("side", [9_000, 60_000])  # below and above the size at which Pillow itself takes fright
def test_a_decompression_bomb_is_refused_by_its_header(side):
    def chunk(kind, body):
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = chunk(b"IHDR", side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0]))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")

    with pytest.raises(MediaError, match=r"pixels|Decompression"):
        opened("data:image/png;base64," + base64.b64encode(bomb).decode())


def test_broken_files_are_one_kind_of_error():
    whole = base64.b64decode(
        data_uri(np.random.default_rng(0).integers(0, 255, (40, 40)).astype(np.uint8)).split(",")[1]
    )
    broken = [b"", b"not an image", whole[: len(whole) // 2], b"%PDF-1.4", b"II*\x00" + bytes(40)]
    broken += [whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :] for place in range(8, 60, 3)]

    for data in broken:
        uri = "data:image/png;base64," + base64.b64encode(data).decode()
        try:
            opened(uri)  # a flipped bit may leave an image
        except MediaError:
            continue


@pytest.mark.parametrize("value", ["data:image/png;base64", "data:image/png;base64,@@@@", 7, None, ""])
def test_what_is_no_data_uri_says_so(value):
    with pytest.raises(MediaError):
        Media().read_bytes(value)


def test_only_addresses_are_read_from_a_task():
    assert media_address({"image": "data:,"}, "image") == "data:,"
    for data in ({}, {"image": None}, {"image": 3}, {"image": ["a"]}, None):
        assert media_address(data, "image") is None
