"""The windows: the queue rows that were written to Label Studio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ScalarSelect, and_, func, select

from feedback.store.database.row_mapping import RowMapper
from feedback.store.repositories.repository import Repository
from feedback.store.tables import main_tables
from feedback.store.tables.main_tables import WindowRow


@dataclass(frozen=True, slots=True)
class QueueCounts:
    """The newest window: how much of it is left, and how much of it shows nothing by design."""

    version: str  # M+qN
    rows: int
    open: int  # rows whose task is not labelled yet
    blind: int
    blind_open: int
    written_s: float  # when its newest row was planned
    imported: int = 0  # rows that show regions that are not ours


_ROWS = RowMapper(WindowRow, main_tables.window_row)


class WindowsRepository(Repository):
    """The windows of each project, and what their predictions showed."""

    def save_window(self, project: str, rows: Sequence[WindowRow]) -> None:
        """Store a window; the same version again replaces its rows."""
        if not rows:
            return
        version, table = rows[0].version, main_tables.window
        values = [_ROWS.to_values(row, project=project) for row in rows]
        with self._database.write() as connection:
            self._database.lock(connection, f"window {project}")
            known = select(table.c.number).where(table.c.project == project, table.c.version == version)
            if connection.execute(known).scalar() is None:
                last = connection.execute(select(func.max(table.c.number)).where(table.c.project == project)).scalar()
                head = {"project": project, "number": (last or 0) + 1, "version": version}
                connection.execute(table.insert(), [head])
            rows_of = main_tables.window_row
            connection.execute(rows_of.delete().where(rows_of.c.project == project, rows_of.c.version == version))
            connection.execute(rows_of.insert(), values)

    def get_window(self, project: str, version: str = "") -> list[WindowRow]:
        """Return the rows of a window in the order of their places; without a version, of the newest window."""
        table, wanted = main_tables.window_row, version or _newest_version(project)
        query = select(table).where(table.c.project == project, table.c.version == wanted).order_by(table.c.place)
        return [_ROWS.from_row(row) for row in self._list_rows(query)]

    def get_window_state(self, project: str) -> tuple[object, ...]:
        """Return what changes whenever rows of the newest window are written: its version, and figures of its rows."""
        rows, newest = main_tables.window_row.c, _newest_version(project)
        figures = (func.count(), func.max(rows.written_s), func.count(rows.prediction), func.sum(rows.prediction))
        query = select(newest, *figures).where(rows.project == project, rows.version == newest)
        return tuple(self._get_row(query))

    def list_shown_predictions(self, project: str, predictions: Sequence[int]) -> dict[int, WindowRow]:
        """Return the rows whose predictions people saw, by prediction id in Label Studio."""
        table = main_tables.window_row
        rows = self._list_rows_in(select(table).where(table.c.project == project), table.c.prediction, predictions)
        return {row.prediction: _ROWS.from_row(row) for row in rows}

    def count_window(self, project: str) -> QueueCounts | None:
        """Count the newest window; None before the first."""
        rows, tasks = main_tables.window_row.c, main_tables.task.c
        still = and_(tasks.id.is_not(None), ~tasks.is_deleted, ~tasks.is_labeled)
        with self._database.read() as connection:
            version = connection.execute(select(_newest_version(project))).scalar()
            if version is None:
                return None
            query = (
                select(
                    func.count(),
                    func.count().filter(still),
                    func.count().filter(rows.blind),
                    func.count().filter(rows.blind, still),
                    func.max(rows.written_s),
                    func.count().filter(rows.imported != ""),
                )
                .select_from(main_tables.window_row)
                .outerjoin(main_tables.task, and_(tasks.project == rows.project, tasks.id == rows.task))
                .where(rows.project == project, rows.version == version)
            )
            n, still_open, blind, blind_open, written_s, imported = connection.execute(query).one()
            return QueueCounts(version, n, still_open, blind, blind_open, written_s or 0.0, imported)


def _newest_version(project: str) -> ScalarSelect[str]:
    heads = main_tables.window.c
    newest = select(heads.version).where(heads.project == project).order_by(heads.number.desc()).limit(1)
    return newest.scalar_subquery()
