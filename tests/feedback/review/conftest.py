"""The world of the tests of review; a module overrides `post` to receive notifications."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from feedback.review.notifications import Post
from tests.support.review_world import World, open_world


@pytest.fixture
def post() -> Post | None:
    return None


@pytest.fixture
def world(tmp_path: Path, post: Post | None) -> Iterator[World]:
    with open_world(tmp_path, post=post) as world:
        yield world
