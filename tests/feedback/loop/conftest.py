"""A connected project whose draws are the same in every run."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedback.store import Store
from tests.support.one_project import World


@pytest.fixture
def world(store: Store, tmp_path: Path) -> World:
    store.secrets.save_secret("draws", "the same audit stream in every run")
    made = World(store, tmp_path / "models")
    made.connect()
    return made
