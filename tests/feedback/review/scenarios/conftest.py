"""Each story is played twice by the same words: in memory, and on a real Label Studio."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from feedback.app.bootstrap import post_json
from tests.feedback.review.world import World
from tests.support import stores
from tests.support.fake_platform import FakeLabelStudio
from tests.support.real_platform import NAMES, RealLabelStudio


@pytest.fixture(params=["in memory", pytest.param("on Label Studio", marks=pytest.mark.e2e)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The same world twice; everybody has an address, whether or not a policy names it."""
    store = stores.fresh(tmp_path / "hitl.sqlite3")
    store.secrets.save_secret("draws", "the same draws in every run")
    people = {number: f"{name}@example.com" for number, name in NAMES.items()}
    if request.param == "in memory":
        yield World(store, tmp_path / "models", FakeLabelStudio(people=people), post=post_json)
    else:
        site = RealLabelStudio(request.getfixturevalue("site"), store)
        try:
            yield World(store, tmp_path / "models", site, post=post_json, project=site.project)
        finally:
            site.close()
    store.close()
