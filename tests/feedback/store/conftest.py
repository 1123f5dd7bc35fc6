"""The subject of these tests is the database: each runs on SQLite and on PostgreSQL, with a clock that it moves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.clock import Clock


@pytest.fixture
def store_url(url: str) -> str:
    return url


@pytest.fixture
def store_options(clock: Clock) -> dict[str, Any]:
    return {"clock": clock}
