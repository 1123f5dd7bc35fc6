"""The records: findings, verdicts, reports and turns, appended and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import (
    select,
)

from feedback.store.database.engine import Database, dumps
from feedback.store.rows import (
    Record,
)
from feedback.store.tables import main_tables


class RecordsRepository:
    """What the service found, decided and did."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_record(self, project: str, kind: str, body: Mapping[str, Any], *, key: str = "") -> int:
        """Append a record; gives its number. With a key, the first record of that key stays and its number is given."""
        table = main_tables.record
        row = {
            "project": project,
            "kind": kind,
            "key": key or None,
            "body": dumps(body),
            "at_s": self._database.clock(),
        }
        if key and (before := self.get_latest_record(project, kind, key=key)) is not None:
            return before.id  # without waiting for whoever writes
        with self._database.write() as connection:
            if key:
                self._database.lock(connection, f"record {project} {kind} {key}")
                known = select(table.c.id).where(table.c.project == project, table.c.kind == kind, table.c.key == key)
                if (number := connection.execute(known).scalar()) is not None:
                    return int(number)
            return int(connection.execute(table.insert().returning(table.c.id), [row]).scalar_one())

    def get_latest_record(self, project: str, kind: str, *, key: str = "") -> Record | None:
        """Give the newest record of a kind, or the one of a key."""
        return next(iter(self.list_records(project, kind, limit=1, key=key)), None)

    def list_records(self, project: str, kind: str, *, limit: int = 100, key: str = "") -> list[Record]:
        """Give the newest records of a kind, newest first."""
        table = main_tables.record.c
        query = select(main_tables.record).where(table.project == project, table.kind == kind)
        if key:
            query = query.where(table.key == key)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query.order_by(table.id.desc()).limit(limit))]

    def list_pending_records(self, project: str, kind: str, *, but: str, since_s: float, limit: int) -> list[Record]:
        """Give the oldest records of a kind since a moment whose key no record of the kind `but` has."""
        table, other = main_tables.record.c, main_tables.record.alias().c
        done = select(other.id).where(other.project == project, other.kind == but, other.key == table.key)
        query = select(main_tables.record).where(
            table.project == project, table.kind == kind, table.at_s >= since_s, ~done.exists()
        )
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query.order_by(table.id).limit(limit))]


def _record(row: Any) -> Record:
    return Record(row.id, row.project, row.kind, row.key or "", orjson.loads(row.body), row.at_s)
