"""The reviews of cases, the review projects that they are given in, and the overrides of predictions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, func, select

from feedback.store.database.engine import rows_in
from feedback.store.database.row_mapping import RowMapper
from feedback.store.repositories.repository import Repository
from feedback.store.tables import main_tables
from feedback.store.tables.review_tables import (
    OverrideRow,
    ReviewProjectRow,
    ReviewRow,
    override,
    review,
    review_case,
    review_project,
    review_task,
)

REVIEWS = RowMapper(ReviewRow, review)
_OVERRIDES = RowMapper(OverrideRow, override)


class OverrideCount(NamedTuple):
    """How many human answers have the same values in all other fields."""

    model: str
    shown: str | None  # Answer.key of the model's answer; on a blind vote, of the answer that it would have given
    answer: str  # Answer.key
    blind: bool
    changed: bool
    reason: str  # "" where nothing was changed
    times: int
    last_s: float  # time of the newest, epoch seconds


class ReviewsRepository(Repository):
    """Reviewers' answers on cases."""

    def save_reviews(self, looks: Iterable[ReviewRow]) -> None:
        """Store reviews of cases that stay in their state."""
        with self._database.write() as connection:
            self._database.upsert(connection, review, [REVIEWS.to_values(look) for look in looks])

    def list_reviews(self, project: str) -> list[ReviewRow]:
        """Return the reviews of a whole source project, oldest first."""
        of_project = select(review_case.c.id).where(review_case.c.project == project)
        query = select(review).where(review.c.case.in_(of_project)).order_by(review.c.at_s, review.c.annotation)
        return [REVIEWS.from_row(row) for row in self._list_rows(query)]

    def list_reviews_of_cases(self, cases: Sequence[int]) -> dict[int, list[ReviewRow]]:
        """Return the reviews of these cases, oldest first."""
        found: dict[int, list[ReviewRow]] = {case: [] for case in cases}
        query = select(review).order_by(review.c.at_s, review.c.annotation)
        for row in self._list_rows_in(query, review.c.case, cases):
            found[row.case].append(REVIEWS.from_row(row))
        return found

    def list_unsaved_annotations(self, review_project: str, tasks: Collection[int]) -> list[int]:
        """Return the submitted annotations on these review tasks that are not saved as reviews, by id."""
        now, saved = main_tables.annotation.c, review.c
        is_saved = select(saved.annotation).where(saved.review_project == now.project, saved.annotation == now.id)
        is_new = (~now.is_deleted, ~now.was_cancelled, ~is_saved.exists())
        # in this order SQLite looks each task up; it would read all annotations of the project otherwise
        query = select(now.id).where(now.project == review_project, *is_new).order_by(now.task)
        return sorted(row.id for row in self._list_rows_in(query, now.task, tasks))

    def list_late_annotations(
        self,
        project: str,
        *,
        cases: Collection[int] | None = None,
        annotations: Mapping[str, Collection[int]] = MappingProxyType({}),
    ) -> list[tuple[int, str, int]]:
        """Return people's submitted answers on review tasks that their case has left, and that are no reviews yet.

        Each as (case, review project, annotation). With `cases`, only those of these cases, or among these annotations
        of a review project.
        """
        now, made, case, saved = main_tables.annotation.c, review_task.c, review_case.c, review.c
        is_saved = select(saved.annotation).where(saved.review_project == now.project, saved.annotation == now.id)
        is_current = (
            case.state.in_(("queued", "started", "waiting"))
            & (case.review_project == made.review_project)
            & (case.review_task == made.id)
        )
        query = (
            select(made.case, now.project, now.id)
            .join_from(review_case, review_task, made.case == case.id)
            .join(main_tables.annotation, (now.project == made.review_project) & (now.task == made.id))
            .where(case.project == project, case.state != "withdrawn", ~now.is_deleted, ~now.was_cancelled)
            .where(now.source == "person", now.person.is_not(None), ~is_current, ~is_saved.exists())
            .order_by(made.case, now.id)
        )
        return self._list_in_scope(query, made.case, now, cases, annotations)

    def list_changed_reviews(
        self,
        project: str,
        *,
        cases: Collection[int] | None = None,
        annotations: Mapping[str, Collection[int]] = MappingProxyType({}),
    ) -> list[tuple[int, str, int]]:
        """Return the counted reviews that were edited or deleted since they decided a case.

        Each as (case, review project, annotation). With `cases`, only reviews of these cases, or with these annotations
        of a review project.
        """
        now, look, case = main_tables.annotation.c, review.c, review_case.c
        query = (
            select(look.case, look.review_project, look.annotation)
            .join_from(review, review_case, case.id == look.case)
            .join(main_tables.annotation, (now.project == look.review_project) & (now.id == look.annotation))
            .where(case.project == project, case.state.in_(("decided", "resolved")), look.counted)
            .where(look.round == case.round, look.tier == case.tier)
            .where((now.version != look.annotation_version) | now.is_deleted)
            .where(~now.erased)  # an erasure is not a withdrawal
            .order_by(look.case, look.annotation)
        )
        return self._list_in_scope(query, look.case, now, cases, annotations)

    def _list_in_scope(
        self,
        query: Select[Any],
        case: ColumnElement[int],
        now: Any,
        cases: Collection[int] | None,
        annotations: Mapping[str, Collection[int]],
    ) -> list[tuple[int, str, int]]:
        if cases is None:
            rows = self._list_rows(query)
        else:
            with self._database.read() as connection:
                rows = rows_in(connection, query, case, cases)
                for review_project, numbers in annotations.items():
                    rows += rows_in(connection, query.where(now.project == review_project), now.id, numbers)
        return sorted({(row[0], row[1], row[2]) for row in rows})


class ReviewProjectsRepository(Repository):
    """The review projects that each project has or had."""

    def list_review_projects(self, project: str) -> dict[str, ReviewProjectRow]:
        """Return the review project of each tier that has one now."""
        table = review_project.c
        query = select(table.id, table.tier, table.config_digest).where(table.project == project, table.current)
        return {row.tier: ReviewProjectRow(*row) for row in self._list_rows(query.order_by(table.tier))}

    def list_review_project_ids(self, project: str) -> list[str]:
        """Return the id of every review project that a project ever had, sorted."""
        table = review_project.c
        return sorted(self._list_values(select(table.id).where(table.project == project)))

    def save_review_project(self, project: str, row: ReviewProjectRow) -> None:
        """Record which review project a tier uses from now on, in place of the one before."""
        values = {"project": project, "id": row.id, "tier": row.tier, "config_digest": row.config_digest}
        with self._database.write() as connection:
            self._retire(connection, project, row.tier)
            self._database.upsert(connection, review_project, [values | {"current": True}])

    def forget_review_project(self, project: str, tier: str) -> None:
        """Record that a tier has no review project: it was deleted, or is not as it was recorded."""
        with self._database.write() as connection:
            self._retire(connection, project, tier)

    def refresh_review_projects(self, project: str) -> None:
        """Make the next use of each review project check its label config and its webhook first."""
        table = review_project
        with self._database.write() as connection:
            connection.execute(table.update().where(table.c.project == project).values(config_digest=""))

    def _retire(self, connection: Connection, project: str, tier: str) -> None:
        table = review_project
        conditions = (table.c.project == project, table.c.tier == tier, table.c.current)
        connection.execute(table.update().where(*conditions).values(current=False, config_digest=""))


class OverridesRepository(Repository):
    """Human answers compared with the model's."""

    def save_overrides(self, rows: Sequence[OverrideRow]) -> None:
        """Store human answers with the model's; a changed annotation replaces its row."""
        with self._database.write() as connection:
            self._database.upsert(connection, override, [_OVERRIDES.to_values(row) for row in rows])

    def list_override_times(self, project: str, annotations: Collection[int] | None) -> dict[int, float]:
        """Return the time of the vote of each row by annotation, of all annotations (None) or of these."""
        query = select(override.c.annotation, override.c.at_s).where(override.c.project == project)
        if annotations is None:
            return dict(map(tuple, self._list_rows(query)))
        return dict(map(tuple, self._list_rows_in(query, override.c.annotation, annotations)))

    def list_overriding_annotations(self, project: str) -> set[int]:
        """Return the answers that differ from the shown prediction."""
        table = override.c
        query = select(table.annotation).where(table.project == project, table.changed, ~table.blind)
        return set(self._list_values(query))

    def list_overrides(self, project: str) -> list[OverrideRow]:
        """Return the votes with a known model answer, oldest first, overrides or not."""
        query = select(override).where(override.c.project == project).order_by(override.c.at_s, override.c.annotation)
        return [_OVERRIDES.from_row(row) for row in self._list_rows(query)]

    def count_overrides(self, project: str) -> list[OverrideCount]:
        """Count pairs of model answer and human answer, the most frequent first."""
        table = override.c
        alike = (table.model, table.shown, table.answer, table.blind, table.changed, table.reason)
        query = select(*alike, func.count(), func.max(table.at_s)).where(table.project == project).group_by(*alike)
        query = query.order_by(func.count().desc(), table.answer, table.reason)
        return [OverrideCount(*row) for row in self._list_rows(query)]

    def get_override_head(self, project: str) -> tuple[int, float]:
        """Return how many answers are recorded with a prediction, and the time of the newest."""
        query = select(func.count(), func.max(override.c.at_s)).where(override.c.project == project)
        count, newest_s = self._get_row(query)
        return int(count), float(newest_s or 0.0)
