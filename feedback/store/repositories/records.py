"""Records: findings, verdicts, reports and turns, appended and never changed; and the windows that we wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import func, select

from feedback.store.database.engine import Database, chunks, dumps
from feedback.store.rows import Record, WindowRow
from feedback.store.tables import main_tables
from ml_backend.records import Answer


class Records:
    """What the service found, decided and did."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, project: str, kind: str, body: Mapping[str, Any], *, key: str = "") -> int:
        """Append a record; gives its number. With a key, the first record of that key stays and its number is given."""
        table = main_tables.record
        row = {
            "project": project,
            "kind": kind,
            "key": key or None,
            "body": dumps(body),
            "at_s": self._database.clock(),
        }
        if key and (before := self.latest(project, kind, key=key)) is not None:
            return before.id  # without waiting for whoever writes
        with self._database.write() as connection:
            if key:
                self._database.lock(connection, f"record {project} {kind} {key}")
                known = select(table.c.id).where(table.c.project == project, table.c.kind == kind, table.c.key == key)
                if (number := connection.execute(known).scalar()) is not None:
                    return int(number)
            return int(connection.execute(table.insert().returning(table.c.id), [row]).scalar_one())

    def latest(self, project: str, kind: str, *, key: str = "") -> Record | None:
        """Give the newest record of a kind, or the one of a key."""
        return next(iter(self.records(project, kind, limit=1, key=key)), None)

    def records(self, project: str, kind: str, *, limit: int = 100, key: str = "") -> list[Record]:
        """Give the newest records of a kind, newest first."""
        table = main_tables.record.c
        query = select(main_tables.record).where(table.project == project, table.kind == kind)
        if key:
            query = query.where(table.key == key)
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query.order_by(table.id.desc()).limit(limit))]

    def outstanding(self, project: str, kind: str, *, but: str, since_s: float, limit: int) -> list[Record]:
        """Give the oldest records of a kind since a moment whose key no record of the kind `but` has."""
        table, other = main_tables.record.c, main_tables.record.alias().c
        done = select(other.id).where(other.project == project, other.kind == but, other.key == table.key)
        query = select(main_tables.record).where(
            table.project == project, table.kind == kind, table.at_s >= since_s, ~done.exists()
        )
        with self._database.read() as connection:
            return [_record(row) for row in connection.execute(query.order_by(table.id).limit(limit))]

    def save_window(self, project: str, rows: Sequence[WindowRow]) -> None:
        """Keep a window; the same version again replaces its rows."""
        if not rows:
            return
        version, table = rows[0].version, main_tables.window
        values = [
            {
                "project": project,
                "version": row.version,
                "task": row.task,
                "place": row.place,
                "answer": row.answer.key if row.answer else None,
                "confidence": row.confidence,
                "blind": row.blind,
                "prediction": row.prediction,
                "written_s": row.written_s,
                "task_created_at": row.task_created_at,
            }
            for row in rows
        ]
        with self._database.write() as connection:
            self._database.lock(connection, f"window {project}")
            known = select(table.c.number).where(table.c.project == project, table.c.version == version)
            if connection.execute(known).scalar() is None:
                last = connection.execute(select(func.max(table.c.number)).where(table.c.project == project)).scalar()
                head = {"project": project, "number": (last or 0) + 1, "version": version}
                connection.execute(table.insert(), [head])
            rows_of = main_tables.window_row
            connection.execute(rows_of.delete().where(rows_of.c.project == project, rows_of.c.version == version))
            connection.execute(rows_of.insert(), values)

    def window(self, project: str, version: str = "") -> list[WindowRow]:
        """Give the rows of a window in the order of their places; without a version, of the newest window."""
        table, heads = main_tables.window_row, main_tables.window.c
        newest = select(heads.version).where(heads.project == project).order_by(heads.number.desc()).limit(1)
        wanted = version or newest.scalar_subquery()
        query = select(table).where(table.c.project == project, table.c.version == wanted).order_by(table.c.place)
        with self._database.read() as connection:
            return [_window_row(row) for row in connection.execute(query)]

    def shown(self, project: str, predictions: Sequence[int]) -> dict[int, WindowRow]:
        """Give what stood on people's screens, by Label Studio's prediction id."""
        table, found = main_tables.window_row, dict[int, WindowRow]()
        with self._database.read() as connection:
            for part in chunks(sorted(set(predictions))):
                query = select(table).where(table.c.project == project, table.c.prediction.in_(part))
                found.update((row.prediction, _window_row(row)) for row in connection.execute(query))
        return found


def _window_row(row: Any) -> WindowRow:
    return WindowRow(
        row.task,
        row.version,
        row.place,
        Answer.from_key(row.answer) if row.answer else None,
        row.confidence,
        row.blind,
        row.prediction,
        row.written_s,
        row.task_created_at,
    )


def _record(row: Any) -> Record:
    return Record(row.id, row.project, row.kind, row.key or "", orjson.loads(row.body), row.at_s)
