from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feedback.errors import StoreError
from feedback.ingest.incidents import Incidents, last_day, told
from feedback.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(f"sqlite:///{tmp_path / 'store.db'}", durability="normal")
    yield made
    made.close()


def test_what_several_processes_met_is_one_sum(store: Store):
    for _ in range(2):
        incidents = Incidents(store, clock=lambda: 1000.0)
        incidents.count("limit_depth", 3)
        incidents.count("tasks", 10_000)  # daily work
        assert incidents.flush()
        assert incidents.flush()  # nothing twice

    found = last_day(store, now_s=1000.0)
    assert found == {"limit_depth": 6}
    assert "6 requests with JSON nested too deep" in told(found)[0]


def test_yesterdays_are_no_news(store: Store):
    incidents = Incidents(store, clock=lambda: 1000.0)
    incidents.count("login_failed")
    incidents.flush()

    assert last_day(store, now_s=1000.0 + 86_401) == {}


def test_what_cannot_be_written_is_kept_until_it_can(store: Store, monkeypatch: pytest.MonkeyPatch):
    incidents = Incidents(store, clock=lambda: 1000.0)
    incidents.count("webhook_not_stored", 5)

    def away(*_: Any, **__: Any) -> int:
        raise StoreError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(store.records, "create_record", away)
        assert not incidents.flush()
    incidents.count("webhook_not_stored", 2)
    assert incidents.flush()

    assert last_day(store, now_s=1000.0) == {"webhook_not_stored": 7}
