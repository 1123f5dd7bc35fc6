"""Compile SQL once in a run of tests: each test has a store of its own, whose engine would compile everything anew."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

_COMPILED: dict[Any, Any] = {}  # for all engines on SQLite


class SharedSQLite(SQLiteDialect_pysqlite):
    """SQLite's dialect; all of its engines are one to the cache of compiled statements."""

    supports_statement_cache = True

    @classmethod
    def engine_created(cls, engine: Engine) -> None:
        """Give a new engine the cache of all."""
        engine.update_execution_options(compiled_cache=_COMPILED)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SharedSQLite)

    def __hash__(self) -> int:
        return hash(SharedSQLite)


def share_compiled_statements() -> None:
    """Let all engines on SQLite that are opened from now on share what they compile."""
    registry.register("sqlite", __name__, SharedSQLite.__name__)
