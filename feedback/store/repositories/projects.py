"""The projects: how Label Studio describes them, and their settings here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, and_, distinct, func, select

from feedback.store.database.engine import Database
from feedback.store.log.event_log import Log
from feedback.store.log.events import event_from_project
from feedback.store.repositories.repository import Repository, in_existing_project, made_by_people, of_current_task
from feedback.store.tables import main_tables, routing_tables
from feedback.store.tables.main_tables import PROJECTS, ProjectRow

_ANNOTATION = main_tables.annotation.c
_HIDDEN_TASK = routing_tables.hidden_task.c
_PROJECT = main_tables.project.c
_PROJECT_DESCRIPTION = main_tables.project_description.c
_TASK = main_tables.task.c
_VOTE = main_tables.vote.c


@dataclass(frozen=True, slots=True)
class ProjectCounts:
    """The size of a project; answers and people are those that are votes."""

    tasks: int = 0
    labeled: int = 0  # tasks that Label Studio asks no more, without those that we only keep back
    kept_back: int = 0  # tasks that the routing keeps from the first tier
    answered: int = 0  # tasks with a vote
    answers: int = 0  # of a person on a task, however many controls it says something of
    people: int = 0
    skips: int = 0
    unreadable: int = 0  # annotations of which nothing could be read


class ProjectsRepository(Repository):
    """The projects that a webhook or a connect made known."""

    def __init__(self, database: Database, log: Log) -> None:
        super().__init__(database)
        self._log = log
        self._turns_at: dict[str, str] = {}

    def save_project(self, row: ProjectRow) -> None:
        """Store a project's settings; a new title or label config is appended to the log, as a webhook's is.

        A row that was read before a newer description of the project changes neither title nor label config.
        """
        with self._database.write() as connection:
            newest = (
                connection.execute(
                    select(_PROJECT_DESCRIPTION.version).where(_PROJECT_DESCRIPTION.project == row.id)
                ).scalar()
                or ""
            )
            if (row.label_config or row.title) and row.described_at in ("", newest):
                self._log.append([event_from_project(row.id, row.title, row.label_config, "own")])
            self._database.upsert(
                connection, main_tables.project, [PROJECTS.to_values(replace(row, bots=tuple(sorted(row.bots))))]
            )
            self._turns_at.pop(row.id, None)

    def get_project(self, number: str) -> ProjectRow | None:
        """Return one project, or None where it is unknown or was deleted."""
        return next(iter(self._projects(number)), None)

    def list_projects(self, *, reviews: bool = False) -> list[ProjectRow]:
        """Return the projects that exist; with `reviews`, the review projects that we made for them, too."""
        return [row for row in self._projects(None) if reviews or not row.source]

    def get_source_project(self, project: str, connection: Connection) -> str:
        """Return the source of a review project, or the project itself, in whose turn its events are read.

        Asked once a project and process: what a project is, is written before anything can happen in it.
        """
        if project not in self._turns_at:
            asked = select(_PROJECT.source).where(_PROJECT.id == project)
            self._turns_at[project] = connection.execute(asked).scalar() or project
        return self._turns_at[project]

    def _projects(self, number: str | None) -> list[ProjectRow]:
        query = (
            select(
                main_tables.project,
                _PROJECT_DESCRIPTION.title,
                _PROJECT_DESCRIPTION.label_config,
                _PROJECT_DESCRIPTION.version,
            )
            .outerjoin_from(
                main_tables.project, main_tables.project_description, _PROJECT_DESCRIPTION.project == _PROJECT.id
            )
            .where(_PROJECT_DESCRIPTION.is_deleted.is_(None) | ~_PROJECT_DESCRIPTION.is_deleted)
        )
        if number is not None:
            query = query.where(_PROJECT.id == number)
        return sorted(map(_project, self._list_rows(query)), key=lambda row: (len(row.id), row.id))

    def count_project(self, project: str) -> ProjectCounts:
        """Count a project; one that was deleted holds nothing."""
        with self._database.read() as connection:
            is_kept = _HIDDEN_TASK.task.is_not(None)
            labeled = func.count().filter(_TASK.is_labeled, ~is_kept)
            counted_tasks = (
                select(func.count(), labeled, func.count().filter(is_kept))
                .select_from(main_tables.task)
                .outerjoin(
                    routing_tables.hidden_task,
                    and_(_HIDDEN_TASK.project == _TASK.project, _HIDDEN_TASK.task == _TASK.id),
                )
                .where(in_existing_project(_TASK, project), ~_TASK.is_deleted)
            )
            n_tasks, n_labeled, n_kept = connection.execute(counted_tasks).one()
            # a person's answer to a task may have several annotations and controls; it is one answer
            given = (
                select(_VOTE.task, _VOTE.person)
                .where(
                    in_existing_project(_VOTE, project), *made_by_people(connection, project, _VOTE, _VOTE.annotation)
                )
                .where(of_current_task(_VOTE))
                .group_by(_VOTE.task, _VOTE.person)
                .subquery()
            )
            counted = select(func.count(), func.count(distinct(given.c.task)), func.count(distinct(given.c.person)))
            answers, answered, people = connection.execute(counted).one()
            skipped = (
                select(func.count())
                .where(
                    in_existing_project(_ANNOTATION, project),
                    ~_ANNOTATION.is_deleted,
                    _ANNOTATION.was_cancelled,
                    of_current_task(_ANNOTATION),
                )
                .where(_ANNOTATION.person.is_not(None), _ANNOTATION.task.is_not(None))
                .where(*made_by_people(connection, project, _ANNOTATION, _ANNOTATION.id))
            )
            has_vote = (
                select(_VOTE.annotation)
                .where(_VOTE.project == _ANNOTATION.project, _VOTE.annotation == _ANNOTATION.id)
                .exists()
            )
            unread = (
                _ANNOTATION.problems.is_not(None),
                ~has_vote,
                ~_ANNOTATION.is_deleted,
                of_current_task(_ANNOTATION),
            )
            problems = select(func.count()).where(in_existing_project(_ANNOTATION, project), *unread)
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


def _project(row: Any) -> ProjectRow:
    described = {"title": row.title or "", "label_config": row.label_config or "", "described_at": row.version or ""}
    return PROJECTS.from_row(row, **described)
