"""The human answers to tasks whose prediction is known; a changed one is an override."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import func, select

from feedback.store.database.row_mapping import RowMapper
from feedback.store.repositories.repository import Repository
from feedback.store.tables.review_tables import OverrideRow, override

_OVERRIDES = RowMapper(OverrideRow, override)


class OverrideCount(NamedTuple):
    """How many human answers have the same values in all other fields."""

    shown: str | None  # Answer.key of the model's answer; on a blind vote, of the answer that it would have given
    answer: str  # Answer.key
    blind: bool
    changed: bool
    reason: str  # "" where nothing was changed
    times: int


class OverridesRepository(Repository):
    """Human answers compared with the model's."""

    def save_overrides(self, rows: Sequence[OverrideRow]) -> None:
        """Store human answers with the model's; a changed annotation replaces its row."""
        with self._database.write() as connection:
            self._database.upsert(connection, override, [_OVERRIDES.to_values(row) for row in rows])

    def list_override_times(self, project: str, *, annotations: Collection[int] | None = None) -> dict[int, float]:
        """Return the time of the vote of each row by annotation, of all annotations or of these."""
        table = override.c
        query = select(table.annotation, table.at_s).where(table.project == project)
        if annotations is None:
            return dict(map(tuple, self._list_rows(query)))
        return dict(map(tuple, self._list_rows_in(query, table.annotation, annotations)))

    def list_overriding_annotations(self, project: str) -> set[int]:
        """Return the answers that differ from the shown prediction."""
        table = override.c
        query = select(table.annotation).where(table.project == project, table.changed, ~table.blind)
        return set(self._list_values(query))

    def list_overrides(self, project: str, *, changed: bool | None = True, since_s: float = 0.0) -> list[OverrideRow]:
        """Return overrides, oldest first; `changed=None` gives the answers that kept the model's, too."""
        table = override.c
        query = select(override).where(table.project == project, table.at_s >= since_s)
        if changed is not None:
            query = query.where(table.changed if changed else ~table.changed)
        return [_OVERRIDES.from_row(row) for row in self._list_rows(query.order_by(table.at_s, table.annotation))]

    def count_overrides(self, project: str) -> list[OverrideCount]:
        """Count pairs of model answer and human answer, the most frequent first."""
        table = override.c
        alike = (table.shown, table.answer, table.blind, table.changed, table.reason)
        query = select(*alike, func.count()).where(table.project == project).group_by(*alike)
        query = query.order_by(func.count().desc(), table.answer, table.reason)
        return [OverrideCount(*row) for row in self._list_rows(query)]

    def get_override_head(self, project: str) -> tuple[int, float]:
        """Return how many answers are recorded with a prediction, and the time of the newest."""
        query = select(func.count(), func.max(override.c.at_s)).where(override.c.project == project)
        count, newest_s = self._get_row(query)
        return int(count), float(newest_s or 0.0)
