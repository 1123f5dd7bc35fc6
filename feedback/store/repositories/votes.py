"""The votes of people: each person's latest answer to a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import NamedTuple

from sqlalchemy import and_, distinct, func, select

from feedback.store.database.engine import chunks, stream, without_garbage_collection
from feedback.store.database.row_mapping import answer_of_key
from feedback.store.log.projections import epoch_s
from feedback.store.repositories.repository import (
    Repository,
    are_votes,
    in_existing_project,
    made_by_people,
    of_current_task,
)
from feedback.store.tables import main_tables
from feedback.store.tables.main_tables import Vote
from feedback.store.tables.review_tables import review, review_case


class OverlapVote(NamedTuple):
    """One person's latest answer to a task that another person answered too; a tuple, because there may be many."""

    task: int
    content: str  # names the task's data, as TaskRow does
    person: int
    answer: str  # Answer.key


class VotesRepository(Repository):
    """Reads of votes. Answers of bots, imports and our own annotations are never votes."""

    def list_votes(self, project: str, *, control: str = "", tasks: Sequence[int] | None = None) -> list[Vote]:
        """Return the latest vote of each person on each task and control, by task, control and person.

        People only: no bot of the project, no annotation of our own, no import. `tasks` are the tasks to read.
        """
        table = main_tables.vote.c
        columns = [table[item.name] for item in fields(Vote)]
        found: list[Vote] = []
        with self._database.read() as connection, without_garbage_collection():
            query = (
                select(*columns)
                .where(*are_votes(connection, project), *([table.control == control] if control else []))
                .order_by(table.task, table.control, table.person, table.version, table.annotation)
            )
            for part in [None] if tasks is None else chunks(sorted(set(tasks))):
                rows = stream(connection, query if part is None else query.where(table.task.in_(part)))
                before = None
                for task, name, person, key, annotation, at_s, lead_time_s, shown in rows:
                    if before == (task, name, person):
                        found.pop()  # the last of a person's votes on a task counts
                    before = (task, name, person)
                    found.append(Vote(task, name, person, answer_of_key(key), annotation, at_s, lead_time_s, shown))
        return found

    def list_overlap_votes(self, project: str, control: str) -> list[OverlapVote]:
        """Return the votes on tasks with two people or more (one, where the other is a bot), by task and person."""
        votes, tasks = main_tables.vote.c, main_tables.task.c
        with self._database.read() as connection:
            own_votes = (in_existing_project(votes, project), votes.control == control)
            # bots are still in here: sorting out whom to count costs more than this, and is done for these tasks only
            several = (
                select(votes.task).where(*own_votes).group_by(votes.task).having(func.count(distinct(votes.person)) > 1)
            )
            counted = (*own_votes, *made_by_people(connection, project, votes, votes.annotation))
            newest = func.row_number().over(
                partition_by=(votes.task, votes.person), order_by=(votes.version.desc(), votes.annotation.desc())
            )
            ranked = (
                select(votes.task, votes.person, votes.answer, newest.label("place"))
                .where(*counted, votes.task.in_(several), of_current_task(votes))
                .subquery()
            )
            query = (
                select(ranked.c.task, tasks.content, ranked.c.person, ranked.c.answer)
                .join_from(ranked, main_tables.task, (tasks.project == project) & (tasks.id == ranked.c.task))
                .where(ranked.c.place == 1)
                .order_by(ranked.c.task, ranked.c.person)
            )
            return [OverlapVote(row[0], row[1][:32], row[2], row[3]) for row in connection.execute(query)]

    def list_vote_times(self, project: str, annotations: frozenset[int]) -> list[float]:
        """Return when these annotations were made, those that still are votes; in no order."""
        votes = main_tables.vote.c
        query = select(func.max(votes.at_s).label("at_s")).where(votes.project == project).group_by(votes.annotation)
        return [row.at_s for row in self._list_rows_in(query, votes.annotation, annotations)]

    def list_first_answer_times(self, project: str) -> dict[int, float]:
        """Return when people first answered each task, here or in a review project; epoch seconds."""
        vote, made, look, case = main_tables.vote.c, main_tables.annotation.c, review.c, review_case.c
        own_votes = select(vote.task, vote.created_at, vote.at_s).where(vote.project == project)
        review_answers = (
            select(case.task, made.created_at, look.at_s)
            .join_from(review, review_case, case.id == look.case)
            .outerjoin(main_tables.annotation, and_(made.project == look.review_project, made.id == look.annotation))
            .where(case.project == project, look.round > 0)
        )
        found: dict[int, float] = {}
        with self._database.read() as connection:
            for query in (own_votes, review_answers):
                for task, created_at, at_s in stream(connection, query):
                    first_s = min((epoch_s(created_at) if created_at else 0.0) or at_s, at_s)
                    found[task] = min(first_s, found.get(task, first_s))
        return found
