"""Projects: how Label Studio describes them, and what we were told to do with them; and which annotations are ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from sqlalchemy import Connection, select

from feedback.store.database.engine import Database, dumps, plain
from feedback.store.log.event_log import Log
from feedback.store.log.events import of_project
from feedback.store.rows import ProjectRow
from feedback.store.tables import main_tables


class Projects:
    """The projects that we know, by webhook or because somebody connected them."""

    def __init__(self, database: Database, log: Log) -> None:
        self._database, self._log = database, log
        self._turns_at: dict[str, str] = {}

    def save_project(self, row: ProjectRow) -> None:
        """Keep a project's settings; a new title or label config goes through the log, as a webhook's would.

        A row that was read before somebody else described the project anew keeps its hands off title and config.
        """
        values = {
            "id": row.id,
            "control": plain(row.control),
            "connected": row.connected,
            "paused": row.paused,
            "overlap": row.overlap,
            "bots": dumps(sorted(row.bots)).decode(),
            "settings_snapshot": plain(dumps(row.settings_snapshot).decode()),
            "options": plain(dumps(row.options).decode()),
            "source": row.source,
        }
        with self._database.write() as connection:
            told = select(main_tables.described.c.version).where(main_tables.described.c.project == row.id)
            newest = connection.execute(told).scalar() or ""
            if (row.label_config or row.title) and row.described_at in ("", newest):
                self._log.append([of_project(row.id, row.title, row.label_config, "own")])
            self._database.upsert(connection, main_tables.project, [values])
            self._turns_at.pop(row.id, None)

    def project(self, number: str) -> ProjectRow | None:
        """Give one project, or None where it is unknown or was deleted."""
        return next(iter(self._projects(number)), None)

    def projects(self, *, reviews: bool = False) -> list[ProjectRow]:
        """Give the projects that exist; with `reviews`, the review projects that we made for them, too."""
        return [row for row in self._projects(None) if reviews or not row.source]

    def turns_at(self, project: str, connection: Connection) -> str:
        """Name the project in whose turn something is read: of a review project its source, else the project itself.

        Asked once a project and process: what a project is, is written before anything can happen in it.
        """
        if project not in self._turns_at:
            asked = select(main_tables.project.c.source).where(main_tables.project.c.id == project)
            self._turns_at[project] = connection.execute(asked).scalar() or project
        return self._turns_at[project]

    def own(self, project: str, *, unique_ids: Iterable[str] = (), annotations: Iterable[int] = ()) -> None:
        """Mark annotations as written by us: they are never votes. Unique ids with our own prefix need no mark."""
        numbers = [{"project": project, "id": one} for one in sorted(set(annotations))]
        names = [{"project": project, "unique_id": plain(one)} for one in sorted(set(unique_ids))]
        with self._database.write() as connection:
            self._database.add(connection, main_tables.own_annotation, numbers)
            self._database.add(connection, main_tables.own_unique, names)

    def _projects(self, number: str | None) -> list[ProjectRow]:
        settings, described = main_tables.project, main_tables.described
        query = (
            select(settings, described.c.title, described.c.label_config, described.c.version)
            .outerjoin_from(settings, described, described.c.project == settings.c.id)
            .where(described.c.gone.is_(None) | ~described.c.gone)
        )
        if number is not None:
            query = query.where(settings.c.id == number)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return sorted((_project(row) for row in rows), key=lambda row: (len(row.id), row.id))


def _project(row: Any) -> ProjectRow:
    return ProjectRow(
        id=row.id,
        title=row.title or "",
        label_config=row.label_config or "",
        control=row.control,
        connected=row.connected,
        paused=row.paused,
        overlap=row.overlap,
        bots=tuple(orjson.loads(row.bots)),
        settings_snapshot=orjson.loads(row.settings_snapshot),
        options=orjson.loads(row.options),
        described_at=row.version or "",
        source=row.source,
    )
