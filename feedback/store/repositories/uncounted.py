"""The answers that do not count, each with the reason: one list for every place where people look."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import orjson
from sqlalchemy import Select, and_, case, func, null, or_, select, union_all

from feedback.store.database.engine import chunks, rows_in
from feedback.store.database.row_mapping import RowMapper
from feedback.store.repositories.repository import (
    Repository,
    are_votes,
    in_existing_project,
    made_by_people,
    of_current_task,
)
from feedback.store.tables import main_tables
from feedback.store.tables.main_tables import UncountedAnswer
from feedback.store.tables.review_tables import review, review_case

_EXCLUDED = RowMapper(UncountedAnswer, main_tables.excluded_answer)

IMPORTED = "was imported; nobody gave it here"
UNREADABLE = "cannot be read"
NO_ANSWER = "says nothing of what is learned"
REPLACED = "was replaced by a later answer of the same person"


class UncountedRepository(Repository):
    """Answers of people in a project and its review projects that decide nothing."""

    def replace_excluded(self, project: str, rows: Iterable[UncountedAnswer], *, removed: Collection[int]) -> None:
        """Record answers of people who may not answer their task; forget those that count again or are gone."""
        table = main_tables.excluded_answer
        made = [_EXCLUDED.to_values(row, project=project) for row in rows]
        if not made and not removed:
            return
        with self._database.write() as connection:
            self._database.upsert(connection, table, made)
            for part in chunks(sorted(removed)):
                gone = table.c.annotation.in_(part)
                connection.execute(table.delete().where(table.c.project == project, gone))

    def list_excluded(self, project: str) -> dict[int, str]:
        """Return the reason of each recorded answer, by annotation."""
        table = main_tables.excluded_answer.c
        return dict(map(tuple, self._list_rows(select(table.annotation, table.why).where(table.project == project))))

    def list_uncounted(self, project: str, control: str, *, task: int | None = None) -> list[UncountedAnswer]:
        """Return the answers, in a project and in reviews of it, that do not count; of one task or of all.

        `control` is the one that is learned; "": any. Imported ones are listed for one task: of all, they may be most.
        """
        with self._database.read() as connection:
            by_people = made_by_people(connection, project, main_tables.annotation.c, main_tables.annotation.c.id)
            query = union_all(_in_project(project, control, by_people, task), _in_reviews(project, task))
            return [_with_problem(*row) for row in connection.execute(query)]

    def count_answers_without(self, project: str, uncounted: Iterable[UncountedAnswer]) -> int:
        """Return how many answers have no annotation but these; one answer of a person to a task may have several."""
        task_of, votes = {row.annotation: row.task for row in uncounted}, main_tables.vote.c
        with self._database.read() as connection:
            query = select(votes.annotation, votes.task, votes.person).where(*are_votes(connection, project))
            given = rows_in(connection, query, votes.task, set(task_of.values()))
        counted = {(task, person) for annotation, task, person in given if annotation not in task_of}
        return len({(task, person) for _annotation, task, person in given} - counted)


def _in_project(project: str, control: str, by_people: Collection[Any], task: int | None) -> Select[Any]:
    now, votes = main_tables.annotation.c, main_tables.vote.c
    excluded = main_tables.excluded_answer.c
    which = [votes.project == project, *([votes.control == control] if control else [])]
    if task is not None:
        which.append(votes.task == task)
    # lists, which are read once: a look into the votes for each annotation would read all of them each time
    voted = now.id.in_(select(votes.annotation).where(*which))
    newest = func.row_number().over(
        partition_by=(votes.task, votes.person, votes.control),
        order_by=(votes.version.desc(), votes.annotation.desc()),
    )
    ranked = select(votes.annotation, newest.label("place")).where(*which, votes.source == "person").subquery()
    replaced = now.id.in_(select(ranked.c.annotation).where(ranked.c.place > 1))
    why = case(
        (now.source == "import", IMPORTED),
        (and_(~voted, now.problems.is_not(None)), UNREADABLE),
        (~voted, NO_ANSWER),
        (replaced, REPLACED),
        else_=excluded.why,
    ).label("why")
    query = (
        select(now.id, now.task, now.person, why, now.problems)
        .outerjoin_from(
            main_tables.annotation,
            main_tables.excluded_answer,
            and_(excluded.project == project, excluded.annotation == now.id),
        )
        .where(in_existing_project(now, project), ~now.is_deleted, ~now.was_cancelled, of_current_task(now))
        .where(now.task.is_not(None), why.is_not(None))
        .where(and_(*by_people) if task is None else or_(and_(*by_people), now.source == "import"))
    )
    return query if task is None else query.where(now.task == task)


def _in_reviews(project: str, task: int | None) -> Select[Any]:
    looks, cases = review.c, review_case.c
    query = (
        select(looks.annotation, cases.task, looks.person, looks.refused.label("why"), null())
        .join_from(review, review_case, cases.id == looks.case)
        .where(cases.project == project, ~looks.counted, looks.refused != "")
    )
    return query if task is None else query.where(cases.task == task)


def _with_problem(annotation: int, task: int, person: int | None, why: str, problems: str | None) -> UncountedAnswer:
    """Return an answer that does not count; what cannot be read with the first problem that was met."""
    first = orjson.loads(problems)[0] if why == UNREADABLE and problems else ""
    return UncountedAnswer(annotation, task, person, f"{why}: {first}" if first else why)
