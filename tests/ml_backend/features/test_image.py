import numpy as np
import pytest
from sklearn.datasets import load_digits

from ml_backend.features.cache import FeatureCache
from ml_backend.features.image import SIZE, hog, image_features, image_rows
from ml_backend.features.media import Media
from tests.support.small_tasks import data_uri, images


def stripes(angle):
    """(96, 96) in [0, 1]: waves across this direction, in degrees."""
    y, x = np.mgrid[0:96, 0:96]
    return (0.5 + 0.5 * np.sin(0.9 * (x * np.cos(np.deg2rad(angle)) + y * np.sin(np.deg2rad(angle))))).astype(
        np.float32
    )


@pytest.mark.parametrize("angle", [0, 20, 40, 80, 120, 160])
def test_the_strongest_direction_of_stripes_is_theirs(angle):
    blocks = hog(stripes(angle)[None]).reshape(121, 4, 9)

    direction = blocks.sum(axis=(0, 1)).argmax()

    assert direction == angle // 20


def test_dark_on_light_is_light_on_dark():
    image = np.random.default_rng(0).random((1, 96, 96)).astype(np.float32)

    np.testing.assert_allclose(hog(image), hog(1 - image), atol=1e-4)


def test_brightness_changes_no_direction():
    image = np.random.default_rng(0).random((1, 96, 96)).astype(np.float32)

    np.testing.assert_allclose(hog(image), hog(0.5 * image + 0.2), atol=0.01)


def test_an_even_image_has_no_directions():
    assert not hog(np.full((2, 96, 96), 0.7, np.float32)).any()


def test_features_hold_grey_and_colour_as_they_are():
    red = np.zeros((1, 96, 96, 3), np.float32)
    red[..., 0] = 1.0

    row = image_features(red)[0]

    assert row.shape == (SIZE,)
    np.testing.assert_allclose(row[:256], 0.299, atol=1e-6)
    np.testing.assert_allclose(row[256:304].reshape(16, 3), np.tile([1, 0, 0], (16, 1)))


def test_an_image_has_the_same_features_alone_as_in_a_batch():
    addresses = [item["image"] for item in images(6)[0]]
    together = image_rows(addresses, Media())

    for address, row in zip(addresses, together, strict=True):
        np.testing.assert_allclose(image_rows([address], Media())[0][0], row[0], atol=1e-6)


def test_a_broken_image_costs_no_neighbour():
    good = data_uri(np.eye(9, dtype=np.uint8) * 255)

    first, broken, last = image_rows([good, "data:image/png;base64,AAAA", good], Media(), FeatureCache())

    assert broken is None
    np.testing.assert_array_equal(first[0], last[0])


def test_eighteen_hundred_small_images_take_seconds_once_and_nothing_after():
    addresses = [data_uri((image * 15).astype(np.uint8)) for image in load_digits().images]
    cache = FeatureCache()

    image_rows(addresses, Media(), cache)
    image_rows(addresses, Media(), cache)

    assert cache.misses == len(set(addresses))
    assert cache.hits == 2 * len(addresses) - len(set(addresses))
