"""The changes of a project since an event of its log, from which caches are updated."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, union

from feedback.store.database.engine import rows_in
from feedback.store.repositories.repository import Repository
from feedback.store.tables import main_tables, routing_tables
from feedback.store.tables.review_tables import override


@dataclass(frozen=True, slots=True)
class ProjectHeads:
    """The newest number of everything that a snapshot is read from; equal heads mean that nothing changed."""

    seq: int  # the last event of the project's log
    own_marks: int  # annotations and unique ids that are marked as ours
    rebuilt: int  # the last record of a rebuild of the projections, which appends no event
    gold: int  # the last record of the gold book
    relabel: int  # the last record of a label that changed its meaning
    decision: int  # the last routing decision


@dataclass(frozen=True, slots=True)
class LogChanges:
    """The tasks, annotations and settings that changed after a given event."""

    tasks: frozenset[int]  # made, changed or deleted
    annotations: frozenset[int]  # saved, changed or deleted
    annotated: frozenset[int]  # tasks that have one of these annotations now
    described: bool  # whether title or label config changed
    erased: bool  # whether data were erased


class ChangesRepository(Repository):
    """Reads whose cost depends on what changed, not on the size of a project."""

    def get_heads(self, project: str) -> ProjectHeads:
        """Return the newest number of each source of a snapshot."""
        chain, record, decision = main_tables.chain.c, main_tables.record.c, routing_tables.decision.c
        marks = [
            select(func.count()).select_from(table).where(table.c.project == project).scalar_subquery()
            for table in (main_tables.own_annotation, main_tables.own_unique)
        ]
        seq = select(chain.seq).where(chain.project == project).scalar_subquery()
        kinds = [
            select(func.max(record.id)).where(record.project == project, record.kind == kind).scalar_subquery()
            for kind in ("rebuilt", "gold", "relabel")
        ]
        # the newest decision of any project: an index by project would cost more than a needless read
        query = select(seq, marks[0] + marks[1], *kinds, select(func.max(decision.id)).scalar_subquery())
        return ProjectHeads(*(int(value or 0) for value in self._get_row(query)))

    def get_signal_head(self, project: str) -> int:
        """Return the number of the newest signal; 0 where there is none."""
        table = routing_tables.signal.c
        return int(self._get_value(select(func.max(table.id)).where(table.project == project)) or 0)

    def get_window_state(self, project: str) -> tuple[object, ...]:
        """Return what changes whenever rows of the newest window are written: its version, and figures of its rows."""
        rows, heads = main_tables.window_row.c, main_tables.window.c
        newest = select(heads.version).where(heads.project == project).order_by(heads.number.desc()).limit(1)
        figures = (func.count(), func.max(rows.written_s), func.count(rows.prediction), func.sum(rows.prediction))
        query = select(newest.scalar_subquery(), *figures)
        query = query.where(rows.project == project, rows.version == newest.scalar_subquery())
        return tuple(self._get_row(query))

    def get_record_head(self, project: str, kind: str) -> int:
        """Return the number of the newest record of a kind, without reading it; 0 where there is none."""
        table = main_tables.record.c
        query = select(func.max(table.id)).where(table.project == project, table.kind == kind)
        return int(self._get_value(query) or 0)

    def list_changes(self, project: str, after: int) -> LogChanges:
        """Return what the events after the event number `after` are about."""
        logged = main_tables.event.c
        columns = (logged.entity, logged.entity_id, logged.action)
        query = select(*columns).distinct().where(logged.project == project, logged.seq > after)
        tasks, annotations, described, erased = set[int](), set[int](), False, False
        with self._database.read() as connection:
            for entity, number, action in connection.execute(query):
                erased |= action == "erased"
                if entity == "task":
                    tasks.add(number)
                elif entity == "annotation":
                    annotations.add(number)
                else:
                    described = True
            annotated = frozenset(row.task for row in rows_in(connection, *_tasks_of(project), annotations))
        return LogChanges(frozenset(tasks), frozenset(annotations), annotated, described, erased)

    def list_own_annotations(self, project: str) -> frozenset[int]:
        """Return the annotations that are marked as ours, by their number or their unique id."""
        own, named, now = main_tables.own_annotation.c, main_tables.own_unique.c, main_tables.annotation.c
        marked = (
            select(now.id)
            .join_from(
                main_tables.own_unique,
                main_tables.annotation,
                (now.project == named.project) & (now.unique_id == named.unique_id),
            )
            .where(named.project == project)
        )
        return frozenset(self._list_values(union(select(own.id).where(own.project == project), marked)))

    def list_tasks_of(self, project: str, annotations: Collection[int]) -> frozenset[int]:
        """Return the tasks of these annotations."""
        return frozenset(row.task for row in self._list_rows_in(*_tasks_of(project), annotations))

    def count_overrides(self, project: str) -> tuple[int, float]:
        """Return how many answers are recorded with a prediction, and the time of the newest."""
        query = select(func.count(), func.max(override.c.at_s)).where(override.c.project == project)
        count, newest_s = self._get_row(query)
        return int(count), float(newest_s or 0.0)


def _tasks_of(project: str) -> tuple[Select[Any], ColumnElement[int]]:
    """Return the query of the tasks of a project's annotations, and the column of the annotations."""
    now = main_tables.annotation.c
    return select(now.task).distinct().where(now.project == project, now.task.is_not(None)), now.id
