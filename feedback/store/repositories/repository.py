"""The base of all repositories, and the SQL conditions that several of them share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Executable, Select, and_, or_, select

from feedback.store.database.engine import Database, rows_in
from feedback.store.tables import main_tables


class Repository:
    """Reads and writes some of the rows of a database. Each helper reads in one snapshot, or joins a write."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _list_rows(self, query: Executable) -> list[Any]:
        with self._database.read() as connection:
            return list(connection.execute(query).all())

    def _list_rows_in(self, query: Select[Any], column: ColumnElement[Any], keys: Collection[Any]) -> list[Any]:
        if not keys:
            return []  # PostgreSQL is asked whether a connection is alive each time that one is taken
        with self._database.read() as connection:
            return rows_in(connection, query, column, keys)

    def _list_values(self, query: Executable) -> list[Any]:
        """Return the first column of each row."""
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def _get_row(self, query: Executable) -> Any:
        """Return the only row; None where there is none."""
        with self._database.read() as connection:
            return connection.execute(query).one_or_none()

    def _get_value(self, query: Executable) -> Any:
        """Return the first column of the first row; None where there is none."""
        with self._database.read() as connection:
            return connection.execute(query).scalar()


def in_existing_project(table: Any, project: str) -> ColumnElement[bool]:
    """Return the condition that a row belongs to a project, and that Label Studio did not delete the project."""
    described = main_tables.project_description.c
    deleted = select(described.project).where(described.project == project, described.is_deleted)
    return and_(table.project == project, ~deleted.exists())


def of_current_task(table: Any) -> ColumnElement[bool]:
    """Return the condition that a row belongs to the task that has the id now.

    An annotation older than its task belongs to a former task with the same id.
    """
    task = main_tables.task.c
    other = and_(table.created_at != "", table.created_at < task.created_at)
    deleted = select(task.id).where(task.project == table.project, task.id == table.task, or_(task.is_deleted, other))
    return ~deleted.exists()


def are_votes(connection: Connection, project: str) -> Sequence[ColumnElement[bool]]:
    """Return the conditions that rows of the table vote are of people, of tasks that exist, in an existing project."""
    votes = main_tables.vote.c
    is_by_people = made_by_people(connection, project, votes, votes.annotation)
    return [in_existing_project(votes, project), *is_by_people, of_current_task(votes)]


def are_imports(connection: Connection, project: str) -> Sequence[ColumnElement[bool]]:
    """Return the conditions that rows of the table vote came with the import of tasks that exist.

    Predictions that somebody turned into annotations are a model's, and so is what a bot imported.
    """
    votes, row = main_tables.vote.c, main_tables.project.c
    bots = orjson.loads(connection.execute(select(row.bots).where(row.id == project)).scalar() or "[]")
    given = [votes.source == "import", votes.shown.is_(None), votes.person.not_in(bots)]
    return [in_existing_project(votes, project), *given, of_current_task(votes)]


def are_skips(connection: Connection, project: str) -> Sequence[ColumnElement[bool]]:
    """Return the conditions that annotations are skips of people, of no deleted task, in an existing project."""
    made = main_tables.annotation.c
    is_skip = [~made.is_deleted, made.was_cancelled, made.person.is_not(None)]
    is_by_people = made_by_people(connection, project, made, made.id)
    return [in_existing_project(made, project), *is_skip, *is_by_people, of_current_task(made)]


def has_record(project: str, kind: str, key: ColumnElement[str]) -> ColumnElement[bool]:
    """Return the condition that a record of this kind has a key."""
    record = main_tables.record.alias().c
    return select(record.id).where(record.project == project, record.kind == kind, record.key == key).exists()


def made_by_people(connection: Connection, project: str, table: Any, annotation: Any) -> Sequence[ColumnElement[bool]]:
    """Return the conditions that a person made the row by hand."""
    own, marked, row = main_tables.own_annotation.c, main_tables.own_unique.c, main_tables.project.c
    has_own = select(own.id).where(own.project == project).exists()
    has_marked = select(marked.unique_id).where(marked.project == project).exists()
    bots = select(row.bots).where(row.id == project).scalar_subquery()
    bot_ids, any_own, any_marked = connection.execute(select(bots, has_own, has_marked)).one()
    mine = [
        table.source == "person",
        or_(table.person.is_(None), table.person.not_in(orjson.loads(bot_ids or "[]"))),
    ]
    # a look for a mark of each row costs as much as all else, and most projects have none
    if any_own:
        mine.append(~select(own.id).where(own.project == project, own.id == annotation).exists())
    if any_marked:
        now = main_tables.annotation.alias()
        named = (  # looked up for each row by its key: a list of all such annotations would read the whole table
            select(now.c.id)
            .join(main_tables.own_unique, and_(marked.project == now.c.project, marked.unique_id == now.c.unique_id))
            .where(now.c.project == project, now.c.id == annotation)
        )
        mine.append(~named.exists())
    return mine
