"""Counts: how much a project holds, counted by the database; no row is loaded, whatever the project's size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import and_, distinct, func, select

from feedback.store.database.engine import Database
from feedback.store.repositories.votes import _by_people, _is_gone, _of_living_task
from feedback.store.tables import main_tables, routing_tables
from feedback.store.tables.review_tables import override


@dataclass(frozen=True, slots=True)
class ProjectCounts:
    """How much a project holds; answers and people are those that are votes."""

    tasks: int = 0
    labeled: int = 0  # tasks that Label Studio asks no more, without those that we only keep back
    kept_back: int = 0  # tasks that the routing keeps from the first tier
    answered: int = 0  # tasks with a vote
    answers: int = 0  # of a person on a task, however many controls it says something of
    people: int = 0
    skips: int = 0
    unreadable: int = 0  # annotations of which nothing could be read


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """The newest window: how much of it is left, and how much of it shows nothing by design."""

    version: str  # M+qN
    rows: int
    open: int  # rows whose task is not labelled yet
    blind: int
    blind_open: int
    written_s: float  # when its newest row was planned


class OverrideCount(NamedTuple):
    """So many human answers beside the model's that are alike in all of this."""

    shown: str | None  # Answer.key of what the model said, on a blind answer what it would have said
    said: str  # Answer.key
    blind: bool
    changed: bool
    reason: str  # "" where nothing was changed
    times: int


class Counts:
    """Everything that is only counted."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def project_counts(self, project: str) -> ProjectCounts:
        """Count a project; one that was deleted holds nothing."""
        tasks, votes, notes = main_tables.task.c, main_tables.vote.c, main_tables.annotation.c
        here = and_(tasks.project == project, ~tasks.gone)
        with self._database.read() as connection:
            if _is_gone(connection, project):
                return ProjectCounts()
            kept = routing_tables.kept_back.c
            is_kept = kept.task.is_not(None)
            labeled = func.count().filter(tasks.is_labeled, ~is_kept)
            counted_tasks = (
                select(func.count(), labeled, func.count().filter(is_kept))
                .select_from(main_tables.task)
                .outerjoin(routing_tables.kept_back, and_(kept.project == tasks.project, kept.task == tasks.id))
                .where(here)
            )
            n_tasks, n_labeled, n_kept = connection.execute(counted_tasks).one()
            # a person's answer to a task may have several annotations and controls; it is one answer
            given = (
                select(votes.task, votes.person)
                .where(votes.project == project, *_by_people(connection, project, votes, votes.annotation))
                .where(_of_living_task(votes))
                .group_by(votes.task, votes.person)
                .subquery()
            )
            counted = select(func.count(), func.count(distinct(given.c.task)), func.count(distinct(given.c.person)))
            answers, answered, people = connection.execute(counted).one()
            skipped = (
                select(func.count())
                .where(notes.project == project, ~notes.gone, notes.was_cancelled, _of_living_task(notes))
                .where(notes.person.is_not(None), notes.task.is_not(None))
                .where(*_by_people(connection, project, notes, notes.id))
            )
            said = select(votes.annotation).where(votes.project == notes.project, votes.annotation == notes.id).exists()
            unread = (notes.problems.is_not(None), ~said, ~notes.gone, _of_living_task(notes))
            problems = select(func.count()).where(notes.project == project, *unread)
            return ProjectCounts(
                tasks=n_tasks,
                labeled=n_labeled,
                kept_back=n_kept,
                answered=answered,
                answers=answers,
                people=people,
                skips=connection.execute(skipped).scalar_one(),
                unreadable=connection.execute(problems).scalar_one(),
            )

    def override_counts(self, project: str) -> list[OverrideCount]:
        """Count human answers beside the model's, the most frequent first."""
        table = override.c
        alike = (table.shown, table.said, table.blind, table.changed, table.reason)
        query = select(*alike, func.count()).where(table.project == project).group_by(*alike)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(func.count().desc(), table.said, table.reason))
            return [OverrideCount(*row) for row in rows]

    def queue_counts(self, project: str) -> QueueCounts | None:
        """Count the newest window; None before the first."""
        heads, rows, tasks = main_tables.window.c, main_tables.window_row.c, main_tables.task.c
        newest = select(heads.version).where(heads.project == project).order_by(heads.number.desc()).limit(1)
        still = and_(tasks.id.is_not(None), ~tasks.gone, ~tasks.is_labeled)
        with self._database.read() as connection:
            version = connection.execute(newest).scalar()
            if version is None:
                return None
            query = (
                select(
                    func.count(),
                    func.count().filter(still),
                    func.count().filter(rows.blind),
                    func.count().filter(rows.blind, still),
                    func.max(rows.written_s),
                )
                .select_from(main_tables.window_row)
                .outerjoin(main_tables.task, and_(tasks.project == rows.project, tasks.id == rows.task))
                .where(rows.project == project, rows.version == version)
            )
            n, still_open, blind, blind_open, written_s = connection.execute(query).one()
            return QueueCounts(version, n, still_open, blind, blind_open, written_s or 0.0)
