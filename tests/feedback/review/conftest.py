"""A project under review, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.feedback.review.world import World
from tests.support import stores


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = stores.fresh(tmp_path / "hitl.sqlite3")
    store.secrets.save_secret("draws", "the same draws in every run")
    yield World(store, tmp_path / "models")
    store.close()
