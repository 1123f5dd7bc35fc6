"""A project whose tasks are routed, in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedback.store import Store
from tests.feedback.routing.world import World


@pytest.fixture
def world(store: Store, tmp_path: Path) -> World:
    return World(store, tmp_path / "models")
