"""The crowd: votes on tasks that several people answered, in columns; what the others said of them is not read."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import distinct, func, select

from feedback.store.database.engine import Database, chunks
from feedback.store.repositories.votes import _by_people, _is_gone, _of_living_task
from feedback.store.tables import main_tables


class CrowdVote(NamedTuple):
    """One person's latest answer to a task that somebody else answered too; a tuple, for there may be many."""

    task: int
    content: str  # names the task's data, as TaskRow does
    person: int
    answer: str  # Answer.key


class Crowd:
    """What several people said of the same tasks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def crowd_votes(self, project: str, control: str) -> list[CrowdVote]:
        """Give the votes on tasks with two people or more (one, where the other is a bot), by task and person."""
        votes, tasks = main_tables.vote.c, main_tables.task.c
        with self._database.read() as connection:
            if _is_gone(connection, project):
                return []
            here = (votes.project == project, votes.control == control)
            # bots are still in here: sorting out whom to count costs more than this, and is done for these tasks only
            several = (
                select(votes.task).where(*here).group_by(votes.task).having(func.count(distinct(votes.person)) > 1)
            )
            counted = (*here, *_by_people(connection, project, votes, votes.annotation))
            newest = func.row_number().over(
                partition_by=(votes.task, votes.person), order_by=(votes.version.desc(), votes.annotation.desc())
            )
            ranked = (
                select(votes.task, votes.person, votes.answer, newest.label("place"))
                .where(*counted, votes.task.in_(several), _of_living_task(votes))
                .subquery()
            )
            query = (
                select(ranked.c.task, tasks.content, ranked.c.person, ranked.c.answer)
                .join_from(ranked, main_tables.task, (tasks.project == project) & (tasks.id == ranked.c.task))
                .where(ranked.c.place == 1)
                .order_by(ranked.c.task, ranked.c.person)
            )
            return [CrowdVote(row[0], row[1][:32], row[2], row[3]) for row in connection.execute(query)]

    def answered_at(self, project: str, annotations: frozenset[int]) -> list[float]:
        """Give when these annotations were made, those that still are votes; in no order."""
        votes, found = main_tables.vote.c, list[float]()
        with self._database.read() as connection:
            for part in chunks(sorted(annotations)):
                query = select(func.max(votes.at_s)).where(votes.project == project, votes.annotation.in_(part))
                found += connection.execute(query.group_by(votes.annotation)).scalars()
        return found
