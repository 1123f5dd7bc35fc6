"""The records: findings, verdicts, reports and turns, appended and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, func, select

from feedback.store.database.engine import dumps
from feedback.store.repositories.repository import Repository, has_record
from feedback.store.tables import main_tables
from feedback.store.tables.main_tables import Record

# Records that nothing refers to: the newest of each project and kind are kept. A loop writes some at every turn, and
# older ones are not read. Every other kind, and every record with a key, stays for ever.
RECORDS_KEPT: Mapping[str, int] = {
    "agreement": 200,
    "asked": 200,
    "cleaned": 200,
    "cursor": 200,
    "drafts": 10,
    "incident": 10_000,
    "indicators": 200,
    "left_out": 200,
    "missed": 200,
    "people": 200,
    "rebuilt": 200,
    "sweep": 200,
    "thresholds": 200,
    "training_asked": 1_000,
    "turn": 2_000,
    "verified_queue": 200,
    "verified_review": 200,
}


class RecordsRepository(Repository):
    """Findings, verdicts, reports and turns, by project and kind."""

    def create_record(self, project: str, kind: str, body: Mapping[str, Any], *, key: str = "") -> int:
        """Append a record and return its number; with a key that is recorded already, only return the number.

        Of the kinds in `RECORDS_KEPT`, older records without a key are deleted.
        """
        table = main_tables.record
        row = {
            "project": project,
            "kind": kind,
            "key": key or None,
            "body": dumps(body),
            "at_s": self._database.clock(),
        }
        if key and (before := self.get_latest_record(project, kind, key=key)) is not None:
            return before.id  # without waiting for a writer
        with self._database.write() as connection:
            if key:
                self._database.lock(connection, f"record {project} {kind} {key}")
                known = select(table.c.id).where(table.c.project == project, table.c.kind == kind, table.c.key == key)
                if (number := connection.execute(known).scalar()) is not None:
                    return int(number)
            number = int(connection.execute(table.insert().returning(table.c.id), [row]).scalar_one())
            if not key and (n_kept := RECORDS_KEPT.get(kind)) is not None:
                _delete_old_records(connection, project, kind, n_kept)
            return number

    def get_latest_record(self, project: str, kind: str, *, key: str = "") -> Record | None:
        """Return the newest record of a kind, or the one of a key; None where there is none."""
        return next(iter(self.list_records(project, kind, limit=1, key=key)), None)

    def get_record_head(self, project: str, kind: str) -> int:
        """Return the number of the newest record of a kind, without reading it; 0 where there is none."""
        table = main_tables.record.c
        query = select(func.max(table.id)).where(table.project == project, table.kind == kind)
        return int(self._get_value(query) or 0)

    def list_records(
        self, project: str, kind: str, *, limit: int | None = 100, key: str = "", above: int = 0
    ) -> list[Record]:
        """Return the newest records of a kind with an id above `above`, newest first; all of them with `limit=None`."""
        table = main_tables.record.c
        query = select(main_tables.record).where(table.project == project, table.kind == kind, table.id > above)
        if key:
            query = query.where(table.key == key)
        return [read_record(row) for row in self._list_rows(query.order_by(table.id.desc()).limit(limit))]

    def list_pending_records(
        self, project: str, kind: str, *, done_kind: str, since_s: float, limit: int
    ) -> list[Record]:
        """Return the oldest records of a kind since a time whose key no record of the kind `done_kind` has."""
        table = main_tables.record.c
        query = select(main_tables.record).where(
            table.project == project,
            table.kind == kind,
            table.at_s >= since_s,
            ~has_record(project, done_kind, table.key),
        )
        return [read_record(row) for row in self._list_rows(query.order_by(table.id).limit(limit))]


def _delete_old_records(connection: Connection, project: str, kind: str, n_kept: int) -> None:
    table = main_tables.record.c
    unkeyed = (table.project == project, table.kind == kind, table.key.is_(None))
    oldest_kept = select(table.id).where(*unkeyed).order_by(table.id.desc()).offset(n_kept - 1).limit(1)
    connection.execute(main_tables.record.delete().where(*unkeyed, table.id < oldest_kept.scalar_subquery()))


def read_record(row: Any) -> Record:
    """Return the record of a row."""
    return Record(row.id, row.project, row.kind, row.key or "", orjson.loads(row.body), row.at_s)
