"""Each scenario runs twice: in memory, and on a real Label Studio."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from feedback.app.bootstrap import post_json
from tests.support import stores
from tests.support.fake_platform import FakeLabelStudio
from tests.support.real_platform import NAMES, RealLabelStudio
from tests.support.review_world import World, open_world


@pytest.fixture(params=["in memory", pytest.param("on Label Studio", marks=pytest.mark.e2e)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The same world twice; everybody has an address, whether or not a policy names it."""
    if request.param == "in memory":
        people = {number: f"{name}@example.com" for number, name in NAMES.items()}
        with open_world(tmp_path, FakeLabelStudio(people=people), post=post_json) as world:
            yield world
        return
    store = stores.fresh(tmp_path / "hitl.sqlite3")
    store.secrets.save_secret("draws", "the same draws in every run")
    site = RealLabelStudio(request.getfixturevalue("site"), store)
    try:
        yield World(store, tmp_path / "models", site, post=post_json, project=site.project)
    finally:
        site.close()
        store.close()
