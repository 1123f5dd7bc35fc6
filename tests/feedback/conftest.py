"""A store for whoever asks for one: each such test runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from feedback.store import Store, open_store
from tests.support import postgres, stores
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def server() -> Iterator[postgres.Server]:
    with postgres.running(fsync=False) as running:
        yield running


@pytest.fixture(scope="session")
def copies(server: postgres.Server) -> Iterator[stores.Copies]:
    with stores.Copies(server) as copies:
        yield copies


@pytest.fixture(params=stores.BOTH)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store."""
    if request.param == "sqlite":
        yield stores.empty(tmp_path / "store.db")
        return
    copies: stores.Copies = request.getfixturevalue("copies")
    url = copies.take()
    yield url
    copies.give_back(url)


@pytest.fixture
def opened(clock: Clock) -> Iterator[Callable[[str], Store]]:
    """Opens stores, and closes them at the end."""
    stores: list[Store] = []

    def open_one(url: str) -> Store:
        stores.append(open_store(url, clock=clock))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def store(url: str, opened: Callable[[str], Store]) -> Store:
    return opened(url)
