"""Models as rows: artefact, digest and card; one champion a project, changed in one transaction with its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import func, select

from feedback.store.database.engine import Database, dumps
from feedback.store.repositories.records import RecordsRepository
from feedback.store.repositories.repository import Repository
from feedback.store.tables import main_tables
from ml_backend.errors import ArtefactError, UnknownName
from ml_backend.registry import Artefact, ModelRef, digest_of

_CHAMPION, _FORMER = "champion", "former"


class ModelsRepository(Repository):
    """A registry on rows; it implements ml_backend.registry.Registry."""

    def __init__(self, database: Database, records: RecordsRepository) -> None:
        super().__init__(database)
        self._records = records

    def champion(self, project: str) -> ModelRef | None:
        """Return the model that serves; None before the first promotion."""
        return self._named(project, _CHAMPION)

    def previous_champion(self, project: str) -> ModelRef | None:
        """Return the champion before; after a rollback, the model that was rolled back."""
        return self._named(project, _FORMER)

    def _named(self, project: str, name: str) -> ModelRef | None:
        alias, model = main_tables.alias.c, main_tables.model.c
        named = (model.project == alias.project) & (model.version == alias.version)
        query = select(model.version, model.digest).join_from(main_tables.alias, main_tables.model, named)
        row = self._get_row(query.where(alias.project == project, alias.name == name))
        return ModelRef(row.version, row.digest) if row else None

    def artefact(self, project: str, version: str) -> Artefact:
        """Return a stored model; its digest is checked where it is unpacked."""
        table = main_tables.model.c
        row = self._get_row(select(table.data, table.digest).where(table.project == project, table.version == version))
        if row is None:
            raise self._unknown(project, version)
        return Artefact(row.data, row.digest)

    def add(self, project: str, version: str, artefact: Artefact, card: Mapping[str, Any]) -> None:
        """Store a version for good. The same bytes again change nothing; other bytes raise ArtefactError."""
        if digest_of(artefact.data) != artefact.digest:
            raise ArtefactError(f"version {version!r}: the bytes are not those of the digest.")
        table = main_tables.model.c
        with self._database.write() as connection:
            self._database.lock(connection, f"models {project}")
            known = select(table.digest).where(table.project == project, table.version == version)
            if (digest := connection.execute(known).scalar()) is not None:
                if digest != artefact.digest:
                    raise ArtefactError(f"version {version!r} exists with other bytes; a version never changes.")
                return
            last = connection.execute(select(func.max(table.number)).where(table.project == project)).scalar()
            row = {
                "project": project,
                "version": version,
                "digest": artefact.digest,
                "data": artefact.data,
                "card": dumps(card),
                "added_s": self._database.clock(),
                "number": (last or 0) + 1,
            }
            connection.execute(main_tables.model.insert(), [row])

    def promote(self, project: str, version: str, verdict: Mapping[str, Any] | None = None) -> None:
        """Make a stored model the champion, and record why, in one transaction. Any moment has one champion."""
        table = main_tables.model.c
        with self._database.write() as connection:
            known = select(table.version).where(table.project == project, table.version == version)
            if connection.execute(known).scalar() is None:
                raise self._unknown(project, version)
            alias = main_tables.alias.c
            current = select(alias.version).where(alias.project == project, alias.name == _CHAMPION)
            names = {_CHAMPION: version}
            if (before := connection.execute(current).scalar()) not in (None, version):
                names[_FORMER] = before
            now_s = self._database.clock()
            rows = [
                {"project": project, "name": name, "version": aliased, "changed_s": now_s}
                for name, aliased in names.items()
            ]
            self._database.upsert(connection, main_tables.alias, rows)
            if verdict is not None:
                self._records.create_record(project, "verdict", verdict)

    def versions(self, project: str) -> list[str]:
        """Return the versions of all stored models, oldest first."""
        table = main_tables.model.c
        return self._list_values(select(table.version).where(table.project == project).order_by(table.number))

    def card(self, project: str, version: str) -> dict[str, Any]:
        """Return a model's card."""
        table = main_tables.model.c
        found = self._get_value(select(table.card).where(table.project == project, table.version == version))
        if found is None:
            raise self._unknown(project, version)
        card: dict[str, Any] = orjson.loads(found)
        return card

    def _unknown(self, project: str, version: str) -> UnknownName:
        known = ", ".join(self.versions(project)) or "none"
        return UnknownName(f"project {project!r} has no model {version!r}; it has: {known}.")
