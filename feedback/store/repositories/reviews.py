"""The reviews: the answers of reviewers about cases, and the review projects that they give them in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import Connection, select

from feedback.store.database.engine import rows_in
from feedback.store.database.row_mapping import RowMapper
from feedback.store.repositories.repository import Repository
from feedback.store.tables import main_tables
from feedback.store.tables.review_tables import ReviewProjectRow, ReviewRow, review, review_case, review_project

_ANNOTATION = main_tables.annotation.c
_REVIEW = review.c
_REVIEW_CASE = review_case.c
_REVIEW_PROJECT = review_project.c

REVIEWS = RowMapper(ReviewRow, review)


class ReviewsRepository(Repository):
    """Reviewers' answers on cases."""

    def save_reviews(self, looks: Iterable[ReviewRow]) -> None:
        """Store reviews of cases that stay in their state."""
        with self._database.write() as connection:
            self._database.upsert(connection, review, [REVIEWS.to_values(look) for look in looks])

    def list_reviews(self, project: str, *, case: int | None = None) -> list[ReviewRow]:
        """Return the reviews of one case or of a whole source project, oldest first."""
        query = select(review).order_by(_REVIEW.at_s, _REVIEW.annotation)
        if case is not None:
            query = query.where(_REVIEW.case == case)
        else:
            of_project = select(_REVIEW_CASE.id).where(_REVIEW_CASE.project == project)
            query = query.where(_REVIEW.case.in_(of_project))
        return [REVIEWS.from_row(row) for row in self._list_rows(query)]

    def list_reviews_of_cases(self, cases: Sequence[int]) -> dict[int, list[ReviewRow]]:
        """Return the reviews of these cases, oldest first."""
        found: dict[int, list[ReviewRow]] = {case: [] for case in cases}
        query = select(review).order_by(_REVIEW.at_s, _REVIEW.annotation)
        for row in self._list_rows_in(query, _REVIEW.case, cases):
            found[row.case].append(REVIEWS.from_row(row))
        return found

    def list_unsaved_annotations(self, review_project: str, tasks: Collection[int]) -> list[int]:
        """Return the submitted annotations on these review tasks that are not saved as reviews, by id."""
        is_saved = select(_REVIEW.annotation).where(
            _REVIEW.review_project == _ANNOTATION.project, _REVIEW.annotation == _ANNOTATION.id
        )
        query = select(_ANNOTATION.id).where(
            _ANNOTATION.project == review_project,
            ~_ANNOTATION.is_deleted,
            ~_ANNOTATION.was_cancelled,
            ~is_saved.exists(),
        )
        return sorted(row.id for row in self._list_rows_in(query, _ANNOTATION.task, tasks))

    def list_changed_reviews(
        self,
        project: str,
        *,
        cases: Collection[int] | None = None,
        annotations: Mapping[str, Collection[int]] = MappingProxyType({}),
    ) -> list[tuple[int, str, int]]:
        """Return the counted reviews that were edited or deleted since they decided a case.

        Parameters
        ----------
        cases, annotations
            Look only at reviews of these cases, or with these annotations of a review project; by default at all.

        Returns
        -------
        list of tuple
            (case, review project, annotation), by case and annotation.
        """
        query = (
            select(_REVIEW.case, _REVIEW.review_project, _REVIEW.annotation)
            .join_from(review, review_case, _REVIEW_CASE.id == _REVIEW.case)
            .join(
                main_tables.annotation,
                (_ANNOTATION.project == _REVIEW.review_project) & (_ANNOTATION.id == _REVIEW.annotation),
            )
            .where(_REVIEW_CASE.project == project, _REVIEW_CASE.state.in_(("decided", "resolved")), _REVIEW.counted)
            .where(
                _REVIEW.round == _REVIEW_CASE.round,
                _REVIEW.tier == _REVIEW_CASE.tier,
                (_ANNOTATION.version != _REVIEW.annotation_version) | _ANNOTATION.is_deleted,
            )
            .where(~_ANNOTATION.erased)  # an erasure is not a withdrawal
            .order_by(_REVIEW.case, _REVIEW.annotation)
        )
        if cases is None:
            rows = self._list_rows(query)
        else:
            with self._database.read() as connection:
                rows = rows_in(connection, query, _REVIEW.case, cases)
                for review_project, numbers in annotations.items():
                    in_project = query.where(_REVIEW.review_project == review_project)
                    rows += rows_in(connection, in_project, _REVIEW.annotation, numbers)
        return sorted({(row[0], row[1], row[2]) for row in rows})


class ReviewProjectsRepository(Repository):
    """The review projects that each project has or had."""

    def list_review_projects(self, project: str) -> dict[str, ReviewProjectRow]:
        """Return the review project of each tier that has one now."""
        query = select(_REVIEW_PROJECT.id, _REVIEW_PROJECT.tier, _REVIEW_PROJECT.config_digest).where(
            _REVIEW_PROJECT.project == project, _REVIEW_PROJECT.current
        )
        return {row.tier: ReviewProjectRow(*row) for row in self._list_rows(query.order_by(_REVIEW_PROJECT.tier))}

    def list_review_project_ids(self, project: str) -> list[str]:
        """Return the id of every review project that a project ever had, sorted."""
        return sorted(self._list_values(select(_REVIEW_PROJECT.id).where(_REVIEW_PROJECT.project == project)))

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
        """Have the label config and the webhook of every review project checked before its next use."""
        with self._database.write() as connection:
            connection.execute(
                review_project.update().where(_REVIEW_PROJECT.project == project).values(config_digest="")
            )

    def _retire(self, connection: Connection, project: str, tier: str) -> None:
        conditions = (_REVIEW_PROJECT.project == project, _REVIEW_PROJECT.tier == tier, _REVIEW_PROJECT.current)
        connection.execute(review_project.update().where(*conditions).values(current=False, config_digest=""))
