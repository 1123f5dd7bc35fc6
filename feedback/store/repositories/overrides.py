"""The human answers to tasks whose prediction is known; a changed one is an override."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import func, select

from feedback.store.database.row_mapping import RowMapper
from feedback.store.repositories.repository import Repository
from feedback.store.tables.review_tables import OverrideRow, override

_OVERRIDE = override.c

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
        query = select(_OVERRIDE.annotation, _OVERRIDE.at_s).where(_OVERRIDE.project == project)
        if annotations is None:
            return dict(map(tuple, self._list_rows(query)))
        return dict(map(tuple, self._list_rows_in(query, _OVERRIDE.annotation, annotations)))

    def list_overriding_annotations(self, project: str) -> set[int]:
        """Return the answers that differ from the shown prediction."""
        query = select(_OVERRIDE.annotation).where(_OVERRIDE.project == project, _OVERRIDE.changed, ~_OVERRIDE.blind)
        return set(self._list_values(query))

    def list_overrides(self, project: str, *, changed: bool | None = True, since_s: float = 0.0) -> list[OverrideRow]:
        """Return overrides, oldest first; `changed=None` gives the answers that kept the model's, too."""
        query = select(override).where(_OVERRIDE.project == project, _OVERRIDE.at_s >= since_s)
        if changed is not None:
            query = query.where(_OVERRIDE.changed if changed else ~_OVERRIDE.changed)
        return [
            _OVERRIDES.from_row(row) for row in self._list_rows(query.order_by(_OVERRIDE.at_s, _OVERRIDE.annotation))
        ]

    def count_overrides(self, project: str) -> list[OverrideCount]:
        """Count pairs of model answer and human answer, the most frequent first."""
        alike = (_OVERRIDE.shown, _OVERRIDE.answer, _OVERRIDE.blind, _OVERRIDE.changed, _OVERRIDE.reason)
        query = select(*alike, func.count()).where(_OVERRIDE.project == project).group_by(*alike)
        query = query.order_by(func.count().desc(), _OVERRIDE.answer, _OVERRIDE.reason)
        return [OverrideCount(*row) for row in self._list_rows(query)]

    def get_override_head(self, project: str) -> tuple[int, float]:
        """Return how many answers are recorded with a prediction, and the time of the newest."""
        query = select(func.count(), func.max(_OVERRIDE.at_s)).where(_OVERRIDE.project == project)
        count, newest_s = self._get_row(query)
        return int(count), float(newest_s or 0.0)
