"""Secrets: made once, kept in the store, so that every host and every restart has the same."""

from __future__ import annotations

from secrets import token_urlsafe

from sqlalchemy import select

from feedback.store import schema
from feedback.store.engine import Database

_BYTES = 32


class Secrets:
    """Named secrets: the key of the draws, the webhook's secret."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def secret(self, name: str) -> str:
        """Give a secret; the first call makes it."""
        query = select(schema.secret.c.value).where(schema.secret.c.name == name)
        with self._database.read() as connection:
            found = connection.execute(query).scalar()
        if found is not None:
            return str(found)
        with self._database.write() as connection:
            self._database.add(connection, schema.secret, [{"name": name, "value": token_urlsafe(_BYTES)}])
            return str(connection.execute(query).scalar_one())

    def set_secret(self, name: str, value: str) -> None:
        """Put a secret in place of the one that was."""
        with self._database.write() as connection:
            self._database.upsert(connection, schema.secret, [{"name": name, "value": value}])
