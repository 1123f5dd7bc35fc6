"""The secrets: made once, the same on every host and after every restart."""

from __future__ import annotations

from secrets import token_urlsafe

from sqlalchemy import Select, select

from feedback.store.repositories.repository import Repository
from feedback.store.tables import main_tables

_BYTES = 32


class SecretsRepository(Repository):
    """Named secrets: the key of the draws, the webhook's secret."""

    def get_or_create_secret(self, name: str) -> str:
        """Return a secret; the first call makes it."""
        found = self.get_secret(name)
        if found is not None:
            return found
        with self._database.write() as connection:
            self._database.add(connection, main_tables.secret, [{"name": name, "value": token_urlsafe(_BYTES)}])
            return str(connection.execute(_value(name)).scalar_one())

    def get_secret(self, name: str) -> str | None:
        """Return a secret that was made or set before; None where there is none."""
        found = self._get_value(_value(name))
        return None if found is None else str(found)

    def save_secret(self, name: str, value: str) -> None:
        """Store a secret; replace the one before."""
        with self._database.write() as connection:
            self._database.upsert(connection, main_tables.secret, [{"name": name, "value": value}])


def _value(name: str) -> Select[tuple[str]]:
    return select(main_tables.secret.c.value).where(main_tables.secret.c.name == name)
