"""New stores without a migration each: the product makes the first, the others begin as copies of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
from sqlalchemy import event

from feedback.store import Store, open_store
from tests.support import postgres

BOTH = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]  # parameters of a fixture


def bare(request: pytest.FixtureRequest, path: Path) -> str:
    """The URL of a database without tables, on SQLite or on the fixture `server`, as the fixture's parameter says."""
    if request.param == "sqlite":
        return f"sqlite:///{path}"
    server: postgres.Server = request.getfixturevalue("server")
    return server.database()


def empty(path: Path) -> str:
    """Put a file there that `open_store` made, holding nothing yet; gives its URL."""
    path.write_bytes(_made())
    return f"sqlite:///{path}"


def fresh(path: Path, **options: Any) -> Store:
    """Open a new, empty store there that syncs no commit: what it holds outlives a killed process, not a power cut."""
    return open_store(empty(path), durability="normal", **options)


def count_queries(store: Store, read: Callable[[], object]) -> int:
    """How many statements a call sends to the database."""
    return len(list_queries(store, read))


def list_queries(store: Store, read: Callable[[], object]) -> list[str]:
    """The statements that a call sends to the database, each with its values."""
    seen: list[str] = []
    listen = (
        store._database.engine,
        "before_cursor_execute",
        lambda *arguments: seen.append(f"{arguments[2]} {arguments[3]}"),
    )
    event.listen(*listen)
    try:
        read()
    finally:
        event.remove(*listen)
    return seen


@cache
def _made() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        open_store(f"sqlite:///{path}").close()
        return path.read_bytes()


class Copies:
    """Databases of a server like one that `open_store` made; the next is always under way while a test has the last."""

    def __init__(self, server: postgres.Server) -> None:
        self._server, self._made = server, server.database()
        open_store(self._made).close()
        self._hands = ThreadPoolExecutor(1)
        self._next = self._ask()

    def __enter__(self) -> Copies:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hands.shutdown()

    def take(self) -> str:
        """The URL of an empty store."""
        url = self._next.result()
        self._next = self._ask()
        return url

    def give_back(self, url: str) -> None:
        """Drop a database, soon: hundreds that stay would fill the disk."""
        self._hands.submit(self._server.drop, url)

    def _ask(self) -> Future[str]:
        return self._hands.submit(self._server.database, like=self._made)
