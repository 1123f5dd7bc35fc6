"""Queries of the event log: versions, erasures, and what changed since an event, from which caches are updated."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, func, select, union

from feedback.store.database.engine import rows_in, stream
from feedback.store.log.event_erasure import ERASED_PERSON
from feedback.store.repositories.repository import Repository
from feedback.store.tables import main_tables, routing_tables


@dataclass(frozen=True, slots=True)
class AnnotationVersion:
    """One version of an annotation, as it was."""

    annotation: int
    version: str  # updated_at; "" for a deletion
    action: str  # saved or deleted
    source: str
    seq: int
    received_s: float
    body: Mapping[str, Any] | None = field(hash=False)  # None: erased


@dataclass(frozen=True, slots=True)
class ProjectHeads:
    """The newest number of everything that a snapshot is read from; equal heads mean that nothing changed."""

    seq: int  # the last event of the project's log
    own_marks: int  # annotations and unique ids that are marked as ours
    rebuilt: int  # the last record of a rebuild of the projections, which appends no event
    gold: int  # the last record of the gold book
    relabel: int  # the last record of a label that changed its meaning
    indicators: int  # the last record of changed indicator values
    decision: int  # the last routing decision


@dataclass(frozen=True, slots=True)
class LogChanges:
    """The tasks, annotations and settings that changed after a given event."""

    tasks: frozenset[int]  # made, changed or deleted
    annotations: frozenset[int]  # saved, changed or deleted
    annotated: frozenset[int]  # tasks that have one of these annotations now
    described: bool  # whether title or label config changed
    erased: bool  # whether data were erased


class EventsRepository(Repository):
    """Reads of the event log."""

    def get_head(self, project: str) -> int:
        """Count the events of a project; an equal count means that nothing new was reported."""
        table = main_tables.chain.c
        return int(self._get_value(select(table.seq).where(table.project == project)) or 0)

    def list_polled_answers(self, project: str, *, above: int) -> list[str]:
        """Return the versions of people's annotations that polls reported after event `above`, not imported ones."""
        logged, made = main_tables.event.c, main_tables.annotation.c
        query = (
            select(logged.version)
            .join(main_tables.annotation, (made.project == logged.project) & (made.id == logged.entity_id))
            .where(logged.project == project, logged.seq > above, logged.entity == "annotation")
            .where(logged.action == "saved", logged.source == "poll", made.source == "person")
        )
        return self._list_values(query)

    def get_version(self, project: str, seq: int) -> AnnotationVersion | None:
        """Return the version of an annotation that is event `seq` of its project; None where that is none."""
        logged = main_tables.event.c
        row = self._get_row(_versions(project).where(logged.seq == seq, logged.action.in_(("saved", "deleted"))))
        return None if row is None else _version(row)

    def list_versions_by_person(self, project: str, person: int) -> list[AnnotationVersion]:
        """Return every version that a person ever made, and the deletions of those annotations, oldest first."""
        found, annotations = list[AnnotationVersion](), set[int]()
        with self._database.read() as connection:
            # the whole log is read: an annotation may pass to another person, and each keeps their own versions
            for version in map(_version, stream(connection, _versions(project).order_by(main_tables.event.c.seq))):
                if version.body is not None and version.body.get("person") == person:
                    annotations.add(version.annotation)
                    found.append(version)
                elif version.action == "deleted" and version.annotation in annotations:
                    found.append(version)
        return found

    def list_erased_annotations(self, project: str, *, after: int = 0) -> set[int]:
        """Return the numbers of all annotations that were ever erased, or were by events after a number."""
        logged = main_tables.event.c
        query = select(logged.entity_id).where(
            logged.project == project, logged.seq > after, logged.entity == "annotation", logged.action == "erased"
        )
        return set(self._list_values(query))

    def list_erased_versions(self, project: str) -> list[tuple[int, str]]:
        """Return (annotation, version) of every version of an annotation whose content was erased."""
        rows = self._list_rows(
            _versions(project).where(main_tables.event.c.action == "saved", main_tables.payload.c.seq.is_(None))
        )
        return [(row.entity_id, row.version) for row in rows]

    def list_erased_people(self) -> list[tuple[str, int]]:
        """Return all people who were ever erased, by project and id: a backup may still hold them."""
        table = main_tables.record.c
        query = select(table.project, table.body).where(table.kind == ERASED_PERSON).order_by(table.id)
        return [(row.project, int(orjson.loads(row.body)["number"])) for row in self._list_rows(query)]

    def list_erased(self) -> list[tuple[str, str, int, str]]:
        """Return every erasure: project, "annotation" or "task", id, and the last erased lifetime."""
        logged = main_tables.event.c
        query = select(logged.project, logged.entity, logged.entity_id, logged.version).where(logged.action == "erased")
        return [(row.project, row.entity, row.entity_id, row.version) for row in self._list_rows(query)]

    def list_task_history(self, project: str, task: int) -> list[AnnotationVersion]:
        """Return every version of every annotation that a task ever had, deletions included, oldest first."""
        logged, now = main_tables.event.c, main_tables.annotation.c
        of_task = select(now.id).where(now.project == project, now.task == task)
        rows = self._list_rows(_versions(project).where(logged.entity_id.in_(of_task)))
        # a deletion has no time of its own: it comes last of its annotation
        rows = sorted(rows, key=lambda row: (row.version if row.action == "saved" else "~", row.entity_id, row.seq))
        return [_version(row) for row in rows]

    def list_annotation_events(self, origin: str, seq: int, *, limit: int) -> list[AnnotationVersion]:
        """Return the first `limit` events of a project's annotations after one, oldest first; no erasures."""
        logged = main_tables.event.c
        query = _versions(origin).where(logged.seq > seq, logged.action.in_(("saved", "deleted")))
        return [_version(row) for row in self._list_rows(query.order_by(logged.seq).limit(limit))]

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
            for kind in ("rebuilt", "gold", "relabel", "indicators")
        ]
        # the newest decision of any project: an index by project would cost more than a needless read
        query = select(seq, marks[0] + marks[1], *kinds, select(func.max(decision.id)).scalar_subquery())
        return ProjectHeads(*(int(value or 0) for value in self._get_row(query)))

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
            annotated = frozenset(row.task for row in rows_in(connection, *_tasks_of(project), annotations)) - {None}
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
        return frozenset(row.task for row in self._list_rows_in(*_tasks_of(project), annotations)) - {None}


def _versions(project: str) -> Select[Any]:
    logged = main_tables.event.c
    return (
        select(main_tables.event, main_tables.payload.c.body)
        .select_from(main_tables.event_with_payload)
        .where(logged.project == project, logged.entity == "annotation")
    )


def _version(row: Any) -> AnnotationVersion:
    body = None if row.body is None else orjson.loads(row.body)
    version = row.version if row.action == "saved" else ""  # for a deletion the log holds the ended lifetime there
    return AnnotationVersion(row.entity_id, version, row.action, row.source, row.seq, row.received_s, body)


def _tasks_of(project: str) -> tuple[Select[Any], ColumnElement[int]]:
    """Return the query of the tasks of a project's annotations (NULL of a deleted one), and the annotations' column.

    A condition on the task would make SQLite read all annotations of the project, for each chunk of numbers.
    """
    now = main_tables.annotation.c
    return select(now.task).where(now.project == project), now.id
