"""The width of the terminal of whoever runs the tests is not the width of the tables in them."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _default_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
