"""The store and the world of tests, databases of both kinds, and the folder in which commands look for a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from feedback.review.notifications import Post
from feedback.store import Store, open_store
from tests.support import postgres, stores
from tests.support.clock import Clock
from tests.support.compiled_statements import share_compiled_statements
from tests.support.fake_platform import FakeLabelStudio
from tests.support.review_world import World, open_world, open_world_on
from tests.support.routed_project import RoutedProject

share_compiled_statements()


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
    found: list[Store] = []

    def open_with_clock(url: str) -> Store:
        found.append(open_store(url, clock=clock))
        return found[-1]

    yield open_with_clock
    for store in found:
        store.close()


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """Return the URL of the database of `store`: a file that the commands find with HITL_DATA_DIR.

    Tests whose subject is the database override it with `url`, and so run on SQLite and on PostgreSQL.
    """
    return stores.empty(tmp_path / "hitl.sqlite3")


@pytest.fixture
def store_options() -> dict[str, Any]:
    """Return the options of `open_store` for `store`: it syncs no commit."""
    return {"durability": "normal"}


@pytest.fixture
def store(store_url: str, store_options: dict[str, Any]) -> Iterator[Store]:
    """Return an empty store."""
    with closing(open_store(store_url, **store_options)) as store:
        yield store


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which the commands find `store` or the store of `world`; they know of no Label Studio."""
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HITL_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def post() -> Post | None:
    """Return how `world` notifies people: not at all. A module overrides it to receive notifications."""
    return None


@pytest.fixture
def addresses() -> dict[int, str]:
    """Return the e-mail addresses of the people of `world`, by person: none. A module overrides it to name people."""
    return {}


@pytest.fixture
def world(
    request: pytest.FixtureRequest, tmp_path: Path, post: Post | None, addresses: dict[int, str]
) -> Iterator[World]:
    """Yield a project with review tiers in memory, or on the one of `PLATFORMS` that a test sets as its parameter."""
    if getattr(request, "param", "in memory") == "in memory":
        opened = open_world(tmp_path, FakeLabelStudio(people=addresses), post=post)
    else:
        opened = open_world_on(request.getfixturevalue("site"), tmp_path, post=post)
    with opened as world:
        yield world


@pytest.fixture
def routed_project(store: Store, tmp_path: Path) -> RoutedProject:
    return RoutedProject(store, tmp_path / "models")
