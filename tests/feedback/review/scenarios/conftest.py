"""Each scenario runs twice, in memory and on a real Label Studio; everybody has an address, in a policy or not."""

from __future__ import annotations

import pytest

from feedback.app.bootstrap import post_json
from feedback.review.notifications import Post
from tests.support.real_platform import ADDRESSES
from tests.support.review_world import PLATFORMS


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "world" in metafunc.fixturenames:
        metafunc.parametrize("world", PLATFORMS, indirect=True)


@pytest.fixture
def post() -> Post:
    return post_json


@pytest.fixture
def addresses() -> dict[int, str]:
    return dict(ADDRESSES)
