"""A project whose tasks are routed, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.feedback.routing.world import World
from tests.support import stores


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = stores.fresh(tmp_path / "hitl.db")
    yield World(store, tmp_path / "models")
    store.close()
