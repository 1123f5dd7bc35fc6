"""Tests print tables at a fixed width, whatever the terminal."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _default_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
