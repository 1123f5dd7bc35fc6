"""The base of all repositories: one database, and the forms in which a query is read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Executable, Select

from feedback.store.database.engine import Database, rows_in


class Repository:
    """Reads and writes some of the rows of a database. Each helper reads in one snapshot, or joins a write."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _list_rows(self, query: Executable) -> list[Any]:
        with self._database.read() as connection:
            return list(connection.execute(query).all())

    def _list_rows_in(self, query: Select[Any], column: ColumnElement[Any], keys: Collection[Any]) -> list[Any]:
        with self._database.read() as connection:
            return rows_in(connection, query, column, keys)

    def _list_values(self, query: Executable) -> list[Any]:
        """Return the first column of each row."""
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def _get_row(self, query: Executable) -> Any:
        """Return the only row; None where there is none."""
        with self._database.read() as connection:
            return connection.execute(query).one_or_none()

    def _get_value(self, query: Executable) -> Any:
        """Return the first column of the first row; None where there is none."""
        with self._database.read() as connection:
            return connection.execute(query).scalar()
