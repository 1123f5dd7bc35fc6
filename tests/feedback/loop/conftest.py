"""A connected project whose draws are the same in every run."""

from __future__ import annotations

from pathlib import Path

import pytest

from feedback.store import Store
from tests.support.connected_project import ConnectedProject


@pytest.fixture
def connected_project(store: Store, tmp_path: Path) -> ConnectedProject:
    store.secrets.save_secret("draws", "the same audit stream in every run")
    made = ConnectedProject(store, tmp_path / "models")
    made.connect()
    return made
