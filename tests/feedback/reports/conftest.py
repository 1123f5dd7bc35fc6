"""An empty store: reports read it in one way on both databases, so one of them is enough here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from feedback.store import Store
from tests.support import stores


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = stores.fresh(tmp_path / "hitl.sqlite3")
    yield made
    made.close()
