"""The sessions of the pages, failed logins by address, and the secrets of the service."""

from __future__ import annotations

from secrets import token_urlsafe
from typing import Any

from sqlalchemy import case, func, select

from feedback.store.database.engine import plain
from feedback.store.database.row_mapping import RowMapper
from feedback.store.repositories.repository import Repository
from feedback.store.tables.main_tables import SessionRow, login_attempt, secret, session

_MOST_ADDRESSES = 10_000  # addresses stored for each login; the oldest are removed beyond that
_SECRET_BYTES = 32
_SESSIONS = RowMapper(SessionRow, session)


class SessionsRepository(Repository):
    """Sessions of signed-in people, and failed logins by address."""

    def create_session(self, row: SessionRow, *, instead_of: str = "", ended_before_s: float = 0.0) -> None:
        """Store a new session, delete the browser's old one and all that began before a time."""
        table = session.c
        with self._database.write() as connection:
            replaced = (table.digest == instead_of) | (table.began_s < ended_before_s)
            connection.execute(session.delete().where(replaced))
            connection.execute(session.insert(), [_SESSIONS.to_values(row)])

    def get_session(self, digest: str) -> SessionRow | None:
        """Return a session, None where it was never begun or has ended."""
        row = self._get_row(select(session).where(session.c.digest == digest))
        return None if row is None else _SESSIONS.from_row(row)

    def touch_session(self, digest: str, at_s: float) -> None:
        """Note that a session is in use."""
        with self._database.write() as connection:
            connection.execute(session.update().where(session.c.digest == digest).values(seen_s=at_s))

    def delete_session(self, digest: str) -> None:
        """Sign a browser out; it is no error if it is signed out already."""
        with self._database.write() as connection:
            connection.execute(session.delete().where(session.c.digest == digest))

    def list_emails(self, person: int) -> frozenset[str]:
        """Return the addresses with a valid session."""
        return frozenset(self._list_values(select(session.c.email).where(session.c.person == person)))

    def list_login_attempts(self, scope: str) -> dict[str, float]:
        """Return, for each address that guessed wrong lately, when it has all its tries back."""
        query = select(login_attempt.c.address, login_attempt.c.restored_s).where(login_attempt.c.scope == scope)
        query = query.where(login_attempt.c.restored_s > self._database.clock())
        return {row.address: row.restored_s for row in self._list_rows(query)}

    def record_login_attempt(self, scope: str, address: str, every_s: float) -> float:
        """Count one login attempt of an address, over all processes; return when no attempt counts any more."""
        now_s, table = self._database.clock(), login_attempt.c
        conditions = (table.scope == scope) & (table.address == address)
        with self._database.write() as connection:
            self._database.lock(connection, f"attempts {scope}")
            later = case((table.restored_s > now_s, table.restored_s), else_=now_s) + every_s
            changed = connection.execute(login_attempt.update().where(conditions).values(restored_s=later))
            if not changed.rowcount:
                self._delete_oldest_attempts(connection, scope, now_s)
                new = {"scope": scope, "address": plain(address), "restored_s": now_s + every_s}
                connection.execute(login_attempt.insert(), [new])
            return float(connection.execute(select(table.restored_s).where(conditions)).scalar_one())

    def _delete_oldest_attempts(self, connection: Any, scope: str, now_s: float) -> None:
        table = login_attempt.c
        connection.execute(login_attempt.delete().where(table.scope == scope, table.restored_s <= now_s))
        n_addresses = connection.execute(select(func.count()).where(table.scope == scope)).scalar_one()
        if n_addresses >= _MOST_ADDRESSES:
            first = select(table.restored_s).where(table.scope == scope).order_by(table.restored_s)
            oldest = connection.execute(first.offset(n_addresses - _MOST_ADDRESSES).limit(1)).scalar_one()
            connection.execute(login_attempt.delete().where(table.scope == scope, table.restored_s <= oldest))


class SecretsRepository(Repository):
    """Named secrets: the key of the draws, the webhook's secret."""

    def get_or_create_secret(self, name: str) -> str:
        """Return a secret; the first call makes it."""
        if (found := self.get_secret(name)) is None:
            with self._database.write() as connection:
                self._database.add(connection, secret, [{"name": name, "value": token_urlsafe(_SECRET_BYTES)}])
                found = self.get_secret(name)
        return str(found)

    def get_secret(self, name: str) -> str | None:
        """Return a secret that was made or set before; None where there is none."""
        value: str | None = self._get_value(select(secret.c.value).where(secret.c.name == name))
        return value

    def save_secret(self, name: str, value: str) -> None:
        """Store a secret; replace the one before."""
        with self._database.write() as connection:
            self._database.upsert(connection, secret, [{"name": name, "value": value}])

    def delete_secrets(self, first: str, last: str) -> None:
        """Forget the secrets whose names lie between these two or are one of them; none is no error."""
        with self._database.write() as connection:
            connection.execute(secret.delete().where(secret.c.name.between(first, last)))
