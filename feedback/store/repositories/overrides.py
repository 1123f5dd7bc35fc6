"""The human answers to tasks whose prediction is known; a changed one is an override."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import (
    func,
    select,
)

from feedback.store.database.engine import Database
from feedback.store.repositories.case_rows import (
    OverrideRow,
    override_values,
    read_override,
)
from feedback.store.tables.review_tables import override


class OverrideCount(NamedTuple):
    """So many human answers beside the model's that are alike in all of this."""

    shown: str | None  # Answer.key of what the model said, on a blind answer what it would have said
    said: str  # Answer.key
    blind: bool
    changed: bool
    reason: str  # "" where nothing was changed
    times: int


class OverridesRepository:
    """Human answers compared with the model's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def save_overrides(self, rows: Sequence[OverrideRow]) -> None:
        """Keep human answers beside the model's; a changed annotation replaces its row."""
        with self._database.write() as connection:
            self._database.upsert(connection, override, [override_values(row) for row in rows])

    def list_override_times(self, project: str) -> dict[int, float]:
        """Give the time of the vote behind each row, by annotation: what has not changed need not be looked at."""
        table = override.c
        with self._database.read() as connection:
            rows = connection.execute(select(table.annotation, table.at_s).where(table.project == project)).all()
        return {row.annotation: row.at_s for row in rows}

    def list_overriding_annotations(self, project: str) -> set[int]:
        """Give the answers that changed what was shown."""
        table = override.c
        query = select(table.annotation).where(table.project == project, table.changed, ~table.blind)
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def list_overrides(self, project: str, *, changed: bool | None = True, since_s: float = 0.0) -> list[OverrideRow]:
        """Give overrides, oldest first; `changed=None` gives the answers that kept the model's, too."""
        table = override.c
        query = select(override).where(table.project == project, table.at_s >= since_s)
        if changed is not None:
            query = query.where(table.changed if changed else ~table.changed)
        with self._database.read() as connection:
            return [read_override(row) for row in connection.execute(query.order_by(table.at_s, table.annotation))]

    def count_overrides(self, project: str) -> list[OverrideCount]:
        """Count human answers beside the model's, the most frequent first."""
        table = override.c
        alike = (table.shown, table.said, table.blind, table.changed, table.reason)
        query = select(*alike, func.count()).where(table.project == project).group_by(*alike)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(func.count().desc(), table.said, table.reason))
            return [OverrideCount(*row) for row in rows]
