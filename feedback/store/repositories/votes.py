"""Reads: what people said and what there is to ask, as plain SQL over the projections; no query in a loop."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, true

from feedback.store.database.engine import Database, chunks
from feedback.store.log.projections import epoch_s
from feedback.store.rows import Person, Problem, Skip, Stats, TaskRow, Version, Vote
from feedback.store.tables import main_tables
from ml_backend.records import Annotation, Answer, Task


class Reads:
    """Everything that is asked of the projections. A project that was deleted holds nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tasks(self, project: str, *, only: Sequence[int] | None = None) -> list[Task]:
        """Give the tasks that exist, or those of some numbers, with their data, by id."""
        if only is None:
            return self._tasks(project, true())
        return [task for part in chunks(sorted(only)) for task in self._tasks(project, main_tables.task.c.id.in_(part))]

    def task(self, project: str, number: int) -> Task | None:
        """Give one task, or None where it is unknown or gone."""
        return next(iter(self._tasks(project, main_tables.task.c.id == number)), None)

    def task_rows(self, project: str, *, only_open: bool = False) -> list[TaskRow]:
        """Give the tasks that exist, without their data."""
        table = main_tables.task.c
        query = select(table.id, table.is_labeled, table.overlap, table.content, table.created_at)
        query = query.where(table.project == project, ~table.gone, *([~table.is_labeled] if only_open else []))
        with self._database.read() as connection:
            if _is_gone(connection, project):
                return []
            return [
                TaskRow(row.id, row.is_labeled, row.overlap, row.content[:32], epoch_s(row.created_at))
                for row in connection.execute(query.order_by(table.id))
            ]

    def open_tasks(self, project: str) -> list[TaskRow]:
        """Give the tasks that Label Studio still asks, without their data."""
        return self.task_rows(project, only_open=True)

    def task_ids(self, project: str, *, before: str = "") -> set[int]:
        """Give the ids of tasks that exist; with `before`, of those last changed until then.

        A sweep says with it which tasks are gone: one that came by webhook while it read is newer, and stays.
        """
        table = main_tables.task.c
        query = select(table.id).where(table.project == project, ~table.gone)
        if before:
            query = query.where(table.version <= before)
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def annotations(self, project: str, *, task: int | None = None) -> list[Annotation]:
        """Give the annotations that exist, with their results, by id: skips, imports and our own included."""
        table, kept = main_tables.annotation.c, main_tables.payload.c
        query = (
            select(main_tables.annotation, kept.body)
            .join_from(
                main_tables.annotation, main_tables.payload, and_(kept.project == table.project, kept.seq == table.seq)
            )
            .where(table.project == project, ~table.gone, _of_living_task(table))
            .order_by(table.id)
        )
        if task is not None:
            query = query.where(table.task == task)
        with self._database.read() as connection:
            if _is_gone(connection, project):
                return []
            return [_annotation(row) for row in connection.execute(query)]

    def votes(self, project: str, *, control: str = "") -> list[Vote]:
        """Give the latest vote of each person on each task and control, by task, control and person.

        People only: no bot of the project, no annotation of our own, no import.
        """
        votes = main_tables.vote.c
        newest = func.row_number().over(
            partition_by=(votes.task, votes.control, votes.person),
            order_by=(votes.version.desc(), votes.annotation.desc()),
        )
        with self._database.read() as connection:
            if _is_gone(connection, project):
                return []
            ranked = (
                select(main_tables.vote, newest.label("place"))
                .where(votes.project == project, *_by_people(connection, project, votes, votes.annotation))
                .where(_of_living_task(votes), *([votes.control == control] if control else []))
                .subquery()
            )
            query = select(ranked).where(ranked.c.place == 1)
            rows = connection.execute(query.order_by(ranked.c.task, ranked.c.control, ranked.c.person)).all()
        return [
            Vote(
                row.task,
                row.control,
                row.person,
                _answer(row.answer),
                row.annotation,
                row.at_s,
                row.lead_time_s,
                row.shown,
            )
            for row in rows
        ]

    def skips(self, project: str) -> list[Skip]:
        """Give every skip that stands, by task and annotation."""
        table = main_tables.annotation.c
        with self._database.read() as connection:
            if _is_gone(connection, project):
                return []
            query = (
                select(table.task, table.person, table.id, table.version)
                .where(table.project == project, ~table.gone, table.was_cancelled, _of_living_task(table))
                .where(table.person.is_not(None), table.task.is_not(None))
                .where(*_by_people(connection, project, table, table.id))
                .order_by(table.task, table.id)
            )
            return [Skip(row.task, row.person, row.id, epoch_s(row.version)) for row in connection.execute(query)]

    def problems(self, project: str) -> list[Problem]:
        """Give the annotations of which something could not be read, with the reasons."""
        table = main_tables.annotation.c
        query = select(table.task, table.id, table.person, table.problems).where(
            table.project == project, table.problems.is_not(None), ~table.gone, _of_living_task(table)
        )
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(table.id)).all()
        return [Problem(row.task, row.id, row.person, tuple(orjson.loads(row.problems))) for row in rows]

    def people(self, project: str) -> list[Person]:
        """Give everybody who ever worked in a project, bots included."""
        table = main_tables.person.c
        query = select(table.id, table.answers, table.skips, table.first_at, table.last_at)
        with self._database.read() as connection:
            rows = connection.execute(query.where(table.project == project).order_by(table.id)).all()
        return [Person(*row) for row in rows]

    def history(self, project: str, task: int) -> list[Version]:
        """Give every version of every annotation that a task ever had, deletions included, oldest first."""
        told, kept, now = main_tables.event.c, main_tables.payload.c, main_tables.annotation.c
        query = (
            select(main_tables.event, kept.body)
            .join_from(
                main_tables.event, main_tables.annotation, and_(now.project == told.project, now.id == told.entity_id)
            )
            .outerjoin(main_tables.payload, and_(kept.project == told.project, kept.seq == told.seq))
            .where(told.project == project, told.entity == "annotation", now.task == task)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        # a deletion tells no time of its own: it comes last of its annotation
        rows = sorted(rows, key=lambda row: (row.version if row.action == "saved" else "~", row.entity_id, row.seq))
        return [_version(row) for row in rows]

    def stats(self) -> Stats:
        """Count what the store holds."""
        counted: dict[str, Select[Any]] = {
            "events": select(func.count()).select_from(main_tables.event),
            "tasks": select(func.count()).select_from(main_tables.task).where(~main_tables.task.c.gone),
            "annotations": select(func.count())
            .select_from(main_tables.annotation)
            .where(~main_tables.annotation.c.gone),
            "votes": select(func.count()).select_from(main_tables.vote).where(main_tables.vote.c.source == "person"),
            "models": select(func.count()).select_from(main_tables.model),
        }
        with self._database.read() as connection:
            found = {name: int(connection.execute(query).scalar_one()) for name, query in counted.items()}
        return Stats(**found, bytes=self._database.size())

    def _tasks(self, project: str, which: ColumnElement[bool]) -> list[Task]:
        table, kept = main_tables.task.c, main_tables.content.c
        query = (
            select(main_tables.task, kept.data)
            .join_from(
                main_tables.task,
                main_tables.content,
                and_(kept.project == table.project, kept.task == table.id, kept.hash == table.content),
            )
            .where(table.project == project, ~table.gone, which)
            .order_by(table.id)
        )
        with self._database.read() as connection:
            if _is_gone(connection, project):
                return []
            return [
                Task(
                    id=row.id,
                    data=orjson.loads(row.data),
                    project=project,
                    is_labeled=row.is_labeled,
                    overlap=row.overlap,
                    created_at=row.created_at,
                    updated_at=row.version,
                )
                for row in connection.execute(query)
            ]


def _is_gone(connection: Connection, project: str) -> bool:
    query = select(main_tables.described.c.gone).where(main_tables.described.c.project == project)
    return bool(connection.execute(query).scalar())


def _of_living_task(table: Any) -> ColumnElement[bool]:
    """Rows of the task that has the number now: Label Studio deletes its annotations with it, and says only the task.

    An annotation that is older than its task was made on another one, whose number the task was given.
    """
    task = main_tables.task.c
    other = and_(table.created_at != "", table.created_at < task.created_at)
    deleted = select(task.id).where(task.project == table.project, task.id == table.task, or_(task.gone, other))
    return ~deleted.exists()


def _by_people(connection: Connection, project: str, table: Any, annotation: Any) -> Sequence[ColumnElement[bool]]:
    """Rows that a person made by hand."""
    bots = connection.execute(select(main_tables.project.c.bots).where(main_tables.project.c.id == project)).scalar()
    own = main_tables.own_annotation.c
    written = select(own.id).where(own.project == project, own.id == annotation)
    marked = main_tables.own_unique.c
    all_annotations = main_tables.annotation.alias()
    named = (
        select(all_annotations.c.id)
        .join(
            main_tables.own_unique,
            and_(marked.project == all_annotations.c.project, marked.unique_id == all_annotations.c.unique_id),
        )
        .where(all_annotations.c.project == project)
    )
    return (
        table.source == "person",
        or_(table.person.is_(None), table.person.not_in(orjson.loads(bots or "[]"))),
        ~written.exists(),
        annotation.not_in(named),
    )


@lru_cache(maxsize=4096)
def _answer(key: str) -> Answer:
    """Few answers are given many times; equal keys are equal answers, so one object serves all."""
    return Answer.from_key(key)


def _annotation(row: Any) -> Annotation:
    result = orjson.loads(row.body).get("result")
    return Annotation(
        id=row.id,
        task=row.task,
        project=row.project,
        person=row.person,
        result=tuple(result) if isinstance(result, list) else (result,),
        updated_at=row.version,
        created_at=row.created_at,
        was_cancelled=row.was_cancelled,
        ground_truth=row.ground_truth,
        lead_time_s=row.lead_time_s,
        parent_prediction=row.parent_prediction,
        unique_id=row.unique_id,
        imported=row.source == "import",
    )


def _version(row: Any) -> Version:
    body = None if row.body is None else orjson.loads(row.body)
    version = row.version if row.action == "saved" else ""  # the log names there what a deletion ended
    return Version(row.entity_id, version, row.action, row.source, row.seq, row.received_s, body)
