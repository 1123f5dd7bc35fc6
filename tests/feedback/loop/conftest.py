"""A connected project whose draws are the same in every run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import stores
from tests.support.one_project import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = stores.fresh(tmp_path / "hitl.sqlite3")
    store.secrets.save_secret("draws", "the same audit stream in every run")
    made = World(store, tmp_path / "models")
    made.connect()
    yield made
    store.close()
