"""The annotations that exist, the votes and skips among them, and the people who made them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

import orjson
from sqlalchemy import and_, distinct, func, select

from feedback.store.database.engine import chunks, plain, rows_in, stream, without_garbage_collection
from feedback.store.database.row_mapping import RowMapper, answer_of_key
from feedback.store.log.projections import AnnotatorCounts, epoch_s
from feedback.store.repositories.repository import (
    Repository,
    are_imports,
    are_skips,
    are_votes,
    in_existing_project,
    of_current_task,
)
from feedback.store.tables import main_tables
from feedback.store.tables.main_tables import Vote
from feedback.store.tables.review_tables import review, review_case
from ml_backend.records import Annotation

_ANNOTATIONS = RowMapper(
    Annotation, main_tables.annotation, renamed={"updated_at": "version"}, without=["result", "imported"]
)


@dataclass(frozen=True, slots=True)
class Skip:
    """A person's skip of a task; it is not a vote."""

    task: int
    person: int
    annotation: int
    at_s: float


class AnnotationsRepository(Repository):
    """Reads of projected annotations. A project that was deleted has none."""

    def list_annotations(
        self, project: str, *, tasks: Collection[int] | None = None, only: Collection[int] | None = None
    ) -> list[Annotation]:
        """Return the annotations that exist, with their results, by id: skips, imports and our own included.

        All of them, those of these tasks, or only those of these ids.
        """
        table, payload = main_tables.annotation.c, main_tables.payload.c
        query = (
            select(main_tables.annotation, payload.body)
            .join_from(
                main_tables.annotation,
                main_tables.payload,
                and_(payload.project == table.project, payload.seq == table.seq),
            )
            .where(in_existing_project(table, project), ~table.is_deleted, of_current_task(table))
            .order_by(table.id)
        )
        column, keys = (table.id, only) if tasks is None else (table.task, tasks)
        rows = self._list_rows(query) if keys is None else self._list_rows_in(query, column, keys)
        return sorted(map(_annotation, rows), key=attrgetter("id"))

    def list_skips(self, project: str, *, tasks: Sequence[int] | None = None, without_case: bool = False) -> list[Skip]:
        """Return every valid skip, by task and annotation: of all tasks, of these, or of those without a case."""
        table, case = main_tables.annotation.c, review_case.c
        has_task = [table.task.is_not(None)] if tasks is None else []  # SQLite would use it instead of `tasks`
        with self._database.read() as connection:
            query = (
                select(table.task, table.person, table.id, table.version)
                .where(*are_skips(connection, project), *has_task)
                .order_by(table.task, table.id)
            )
            if without_case:
                of_task = select(case.id).where(case.project == project, case.task == table.task)
                query = query.where(~of_task.exists())
            rows: Sequence[Any] = (
                connection.execute(query).all() if tasks is None else rows_in(connection, query, table.task, tasks)
            )
        return [Skip(row.task, row.person, row.id, epoch_s(row.version)) for row in rows]

    def list_annotators(self, project: str) -> list[AnnotatorCounts]:
        """Return all people who ever annotated in a project, bots included."""
        table = main_tables.person.c
        query = select(table.id, table.answers, table.skips, table.first_at, table.last_at)
        return [
            AnnotatorCounts(*row) for row in self._list_rows(query.where(table.project == project).order_by(table.id))
        ]

    def list_annotation_creation_times(
        self, project: str, *, above: int, upto: int, before: str = ""
    ) -> dict[int, dict[int, str]]:
        """Return the annotations that exist, each with its created_at, for the tasks above a number and up to another.

        With `before` (the task's updated_at as just read), without newer ones.
        """
        table = main_tables.annotation.c
        query = select(table.task, table.id, table.created_at).where(
            table.project == project, table.task > above, table.task <= upto, ~table.is_deleted
        )
        if before:
            query = query.where(table.version <= before)
        found: dict[int, dict[int, str]] = {}
        for task, annotation, created_at in self._list_rows(query):
            found.setdefault(task, {})[annotation] = created_at
        return found

    def count_annotators(self, project: str, tasks: Sequence[int]) -> dict[int, int]:
        """Count the people (us included) with an existing answer on each of these tasks; skips do not count."""
        table = main_tables.annotation.c
        counted = select(table.task, func.count(distinct(func.coalesce(table.person, 0)))).group_by(table.task)
        counted = counted.where(
            table.project == project, ~table.is_deleted, ~table.was_cancelled, of_current_task(table)
        )
        return dict(map(tuple, self._list_rows_in(counted, table.task, tasks)))

    def is_by_person(self, project: str, annotation: int) -> bool:
        """Return whether a person made an annotation by hand: no import, none of our own."""
        table, own, named = main_tables.annotation.c, main_tables.own_annotation.c, main_tables.own_unique.c
        query = select(table.id).where(
            table.project == project,
            table.id == annotation,
            table.source == "person",
            ~select(own.id).where(own.project == project, own.id == annotation).exists(),
            ~select(named.unique_id).where(named.project == project, named.unique_id == table.unique_id).exists(),
        )
        return self._get_row(query) is not None

    def create_own_annotations(
        self, project: str, *, unique_ids: Iterable[str] = (), annotations: Iterable[int] = ()
    ) -> None:
        """Mark annotations as written by us: they are never votes. Unique ids with our own prefix need no mark."""
        numbers = [{"project": project, "id": number} for number in sorted(set(annotations))]
        names = [{"project": project, "unique_id": plain(unique_id)} for unique_id in sorted(set(unique_ids))]
        with self._database.write() as connection:
            self._database.add(connection, main_tables.own_annotation, numbers)
            self._database.add(connection, main_tables.own_unique, names)


class VotesRepository(Repository):
    """Reads of votes. Answers of bots, imports and our own annotations are never votes."""

    def list_votes(
        self, project: str, *, control: str = "", tasks: Sequence[int] | None = None, imported: bool = False
    ) -> list[Vote]:
        """Return the latest vote of each person on each task and control, by task, control and person.

        People only: no bot of the project, no annotation of our own, no import. `tasks` are the tasks to read. With
        `imported`, return instead what was imported with the tasks: all answers, whoever gave them.
        """
        table = main_tables.vote.c
        columns = [table[item.name] for item in fields(Vote)]
        found: list[Vote] = []
        conditions = are_imports if imported else are_votes
        with self._database.read() as connection, without_garbage_collection():
            query = (
                select(*columns)
                .where(*conditions(connection, project), *([table.control == control] if control else []))
                .order_by(table.task, table.control, table.person, table.version, table.annotation)
            )
            for part in [None] if tasks is None else chunks(sorted(set(tasks))):
                rows = stream(connection, query if part is None else query.where(table.task.in_(part)))
                before = None
                for task, name, person, key, annotation, at_s, lead_time_s, shown in rows:
                    if before == (task, name, person) and not imported:
                        found.pop()  # the last of a person's votes on a task counts
                    before = (task, name, person)
                    found.append(Vote(task, name, person, answer_of_key(key), annotation, at_s, lead_time_s, shown))
        return found

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


def _annotation(row: Any) -> Annotation:
    result = orjson.loads(row.body).get("result")
    raw = tuple(result) if isinstance(result, list) else (result,)
    return _ANNOTATIONS.from_row(row, result=raw, imported=row.source == "import")
