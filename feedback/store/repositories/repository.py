"""The base of all repositories, and the SQL conditions that several of them share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Executable, Select, and_, or_, select

from feedback.store.database.engine import Database, rows_in
from feedback.store.tables import main_tables

_OWN_ANNOTATION = main_tables.own_annotation.c
_OWN_UNIQUE = main_tables.own_unique.c
_PROJECT = main_tables.project.c
_PROJECT_DESCRIPTION = main_tables.project_description.c
_TASK = main_tables.task.c


class Repository:
    """Reads and writes some of the rows of a database. Each helper reads in one snapshot, or joins a write."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def _list_rows(self, query: Executable) -> list[Any]:
        with self._database.read() as connection:
            return list(connection.execute(query).all())

    def _list_rows_in(self, query: Select[Any], column: ColumnElement[Any], keys: Collection[Any]) -> list[Any]:
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
    deleted = select(_PROJECT_DESCRIPTION.project).where(
        _PROJECT_DESCRIPTION.project == project, _PROJECT_DESCRIPTION.is_deleted
    )
    return and_(table.project == project, ~deleted.exists())


def of_current_task(table: Any) -> ColumnElement[bool]:
    """Return the condition that a row belongs to the task that has the id now.

    An annotation older than its task belongs to a former task with the same id.
    """
    other = and_(table.created_at != "", table.created_at < _TASK.created_at)
    deleted = select(_TASK.id).where(
        _TASK.project == table.project, _TASK.id == table.task, or_(_TASK.is_deleted, other)
    )
    return ~deleted.exists()


def made_by_people(connection: Connection, project: str, table: Any, annotation: Any) -> Sequence[ColumnElement[bool]]:
    """Return the conditions that a person made the row by hand."""
    has_own = select(_OWN_ANNOTATION.id).where(_OWN_ANNOTATION.project == project).exists()
    has_marked = select(_OWN_UNIQUE.unique_id).where(_OWN_UNIQUE.project == project).exists()
    bots = select(_PROJECT.bots).where(_PROJECT.id == project).scalar_subquery()
    bot_ids, any_own, any_marked = connection.execute(select(bots, has_own, has_marked)).one()
    mine = [
        table.source == "person",
        or_(table.person.is_(None), table.person.not_in(orjson.loads(bot_ids or "[]"))),
    ]
    # a look for a mark of each row costs as much as all else, and most projects have none
    if any_own:
        mine.append(
            ~select(_OWN_ANNOTATION.id)
            .where(_OWN_ANNOTATION.project == project, _OWN_ANNOTATION.id == annotation)
            .exists()
        )
    if any_marked:
        now = main_tables.annotation.alias()
        named = (  # looked up for each row by its key: a list of all such annotations would read the whole table
            select(now.c.id)
            .join(
                main_tables.own_unique,
                and_(_OWN_UNIQUE.project == now.c.project, _OWN_UNIQUE.unique_id == now.c.unique_id),
            )
            .where(now.c.project == project, now.c.id == annotation)
        )
        mine.append(~named.exists())
    return mine
