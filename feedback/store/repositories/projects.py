"""The projects: how Label Studio describes them, and their settings here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, and_, bindparam, distinct, func, or_, select

from feedback.store.database.engine import Database
from feedback.store.log.event_log import Log
from feedback.store.log.events import event_from_project
from feedback.store.repositories.repository import (
    Repository,
    are_skips,
    are_votes,
    in_existing_project,
    of_current_task,
)
from feedback.store.tables import main_tables, routing_tables
from feedback.store.tables.main_tables import PROJECTS, ProjectRow


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
    unreadable: int = 0  # annotations that could not be read at all
    imported: int = 0  # tasks that came with answers
    copied: int = 0  # tasks with an annotation that somebody made of a prediction, in bulk


_DESCRIBED = main_tables.project_description.c
_EXISTING = (
    select(main_tables.project, _DESCRIBED.title, _DESCRIBED.label_config, _DESCRIBED.version)
    .outerjoin_from(
        main_tables.project, main_tables.project_description, _DESCRIBED.project == main_tables.project.c.id
    )
    .where(_DESCRIBED.is_deleted.is_(None) | ~_DESCRIBED.is_deleted)
)
# made once: a turn asks before each write, and making the statement takes twice the time of running it
_ONE = _EXISTING.where(main_tables.project.c.id == bindparam("number"))


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
            described = main_tables.project_description.c
            newest = connection.execute(select(described.version).where(described.project == row.id)).scalar() or ""
            if (row.label_config or row.title) and row.described_at in ("", newest):
                self._log.append([event_from_project(row.id, row.title, row.label_config, "own")])
            self._database.upsert(
                connection, main_tables.project, [PROJECTS.to_values(replace(row, bots=tuple(sorted(row.bots))))]
            )
            self._turns_at.pop(row.id, None)

    def get_project(self, number: str) -> ProjectRow | None:
        """Return one project, or None where it is unknown or was deleted."""
        with self._database.read() as connection:
            row = connection.execute(_ONE, {"number": number}).one_or_none()
        return None if row is None else _project(row)

    def list_projects(self, *, reviews: bool = False) -> list[ProjectRow]:
        """Return the projects that exist; with `reviews`, the review projects that we made for them, too."""
        rows = sorted(map(_project, self._list_rows(_EXISTING)), key=lambda row: (len(row.id), row.id))
        return [row for row in rows if reviews or not row.source]

    def get_source_project(self, project: str, connection: Connection) -> str:
        """Return the source of a review project, or the project itself, in whose turn its events are read.

        Asked once a project and process: what a project is, is written before anything can happen in it.
        """
        if project not in self._turns_at:
            asked = select(main_tables.project.c.source).where(main_tables.project.c.id == project)
            self._turns_at[project] = connection.execute(asked).scalar() or project
        return self._turns_at[project]

    def count_project(self, project: str) -> ProjectCounts:
        """Count a project; one that was deleted holds nothing."""
        tasks, votes, made = main_tables.task.c, main_tables.vote.c, main_tables.annotation.c
        hidden = routing_tables.hidden_task.c
        is_kept = hidden.task.is_not(None)
        counted_tasks = (
            select(func.count(), func.count().filter(tasks.is_labeled, ~is_kept), func.count().filter(is_kept))
            .select_from(main_tables.task)
            .outerjoin(routing_tables.hidden_task, and_(hidden.project == tasks.project, hidden.task == tasks.id))
            .where(in_existing_project(tasks, project), ~tasks.is_deleted)
        )
        has_vote = select(votes.annotation).where(votes.project == made.project, votes.annotation == made.id).exists()
        unread, came = (made.problems.is_not(None), ~has_vote), (made.source == "import", ~made.was_cancelled)
        n_tasks_with = func.count(distinct(made.task))
        with self._database.read() as connection:
            n_tasks, n_labeled, n_kept = connection.execute(counted_tasks).one()
            # a person's answer to a task may have several annotations and controls; it is one answer
            given = select(votes.task, votes.person).where(*are_votes(connection, project)).distinct().subquery()
            counted = select(func.count(), func.count(distinct(given.c.task)), func.count(distinct(given.c.person)))
            answers, answered, people = connection.execute(counted).one()
            skipped = select(func.count()).where(*are_skips(connection, project), made.task.is_not(None))
            others = select(
                func.count().filter(*unread),
                n_tasks_with.filter(*came, made.parent_prediction.is_(None)),
                n_tasks_with.filter(*came, made.parent_prediction.is_not(None)),
            ).where(
                in_existing_project(made, project),
                ~made.is_deleted,
                or_(made.problems.is_not(None), made.source == "import"),
                of_current_task(made),
            )
            unreadable, imported, copied = connection.execute(others).one()
            return ProjectCounts(
                tasks=n_tasks,
                labeled=n_labeled,
                kept_back=n_kept,
                answered=answered,
                answers=answers,
                people=people,
                skips=connection.execute(skipped).scalar_one(),
                unreadable=unreadable,
                imported=imported,
                copied=copied,
            )


def _project(row: Any) -> ProjectRow:
    described = {"title": row.title or "", "label_config": row.label_config or "", "described_at": row.version or ""}
    return PROJECTS.from_row(row, **described)
