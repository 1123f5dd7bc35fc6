"""Media of a task: data URIs are read within limits, and nothing else is fetched without a fetcher."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from ml_backend.features.image_decoding import MediaError
from ml_backend.features.media import Media, media_address
from tests.support.media_hosts import Site, fetcher_for
from tests.support.small_tasks import data_uri

GREY = np.full((10, 20), 200, np.uint8)


def opened(uri):
    return np.asarray(Media().open_image(uri, size=32))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
def test_images_of_every_usual_kind_open_as_rgb(kind):
    pixels = opened(data_uri(GREY, kind))

    assert pixels.shape == (10, 20, 3)
    assert abs(int(pixels[5, 5, 0]) - 200) <= 2


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


def test_a_given_fetcher_is_called_within_the_limits():
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


@pytest.mark.parametrize("value", ["data:image/png;base64", "data:image/png;base64,@@@@", 7, None, ""])
def test_what_is_no_data_uri_is_refused(value):
    with pytest.raises(MediaError):
        Media().read_bytes(value)


def test_only_addresses_are_read_from_a_task():
    assert media_address({"image": "data:,"}, "image") == "data:,"
    for data in ({}, {"image": None}, {"image": 3}, {"image": ["a"]}, None):
        assert media_address(data, "image") is None


def test_media_uses_the_fetcher(home: Site):
    assert Media(fetch=fetcher_for(home)).read_bytes("/a.png") == b"picture"
