"""Each problem gives one sentence; a healthy project gives none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from feedback.reports.health import list_problems
from feedback.settings import Settings, read_settings
from feedback.store import Store, open_store
from tests.support.make_events import annotation_event


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings({"HITL_DATA_DIR": str(tmp_path), "HITL_PORT": "9"})  # where nobody listens


@pytest.fixture
def old(settings: Settings) -> Iterator[Store]:
    """A store whose clock stands an hour back."""
    store = open_store(settings.store_url, clock=lambda: time.time() - 3600)
    yield store
    store.close()


def test_webhooks_that_nobody_takes_in_are_trouble_until_somebody_does(settings: Settings, old: Store) -> None:
    old.receive([annotation_event(5, "A")])
    waits = [row for row in list_problems(settings, old) if "1 webhook(s) have waited" in row]

    old.ingest_inbox()

    assert len(waits) == 1
    assert "hitl worker" in waits[0]
    assert not any("have waited" in row for row in list_problems(settings, old))


def test_a_web_half_that_does_not_answer_is_trouble(settings: Settings, old: Store) -> None:
    assert any("does not answer" in row for row in list_problems(settings, old))
