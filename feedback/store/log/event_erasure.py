"""Erasure of personal data: payloads and derived rows are deleted; the chain and a rebuild still verify."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import orjson
from sqlalchemy import Connection, select

from feedback.errors import StoreError
from feedback.store.database.engine import Database, chunks, dumps, plain, stream
from feedback.store.log.event_log import Log
from feedback.store.log.events import Entity, Event, event_from_task
from feedback.store.log.inbox import Inbox
from feedback.store.log.projections import canonical_time_of, creation_time, epoch_s
from feedback.store.repositories.cases import CasesRepository
from feedback.store.repositories.jobs import JobsRepository
from feedback.store.repositories.records import RecordsRepository
from feedback.store.tables import main_tables
from feedback.store.tables.personal_data import DERIVED, DataSubject, places, redact, task_contents
from feedback.store.tables.review_tables import override
from ml_backend.records import Task

_INSTANT_S = 1e-6  # the resolution of stored times
_LATER_S = 1e-3
ERASED_PERSON = "erased person"  # the kind of record that keeps the number of a person


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """What was erased, and which models were trained on it."""

    annotations: tuple[int, ...]
    tasks: tuple[int, ...]
    events: int
    models: tuple[str, ...]


class Erasure:
    """Erases what the store holds about a person or a task, for ever."""

    def __init__(
        self,
        database: Database,
        log: Log,
        inbox: Inbox,
        *,
        cases: CasesRepository,
        records: RecordsRepository,
        jobs: JobsRepository,
    ) -> None:
        self._database, self._log, self._inbox = database, log, inbox
        self._cases, self._records, self._jobs = cases, records, jobs

    def erase_data(
        self,
        project: str,
        *,
        person: int | None = None,
        task: int | None = None,
        annotation: int | None = None,
        until: str = "",
        emails: Iterable[str] = (),
    ) -> ErasureResult:
        """Erase payloads, salts and derived rows of a person's annotations, or of a task and all its annotations.

        In one project; `feedback.privacy` also reaches its review projects. `emails` are the person's. The log keeps
        ids and hashes; without salt and payload they reveal nothing, and the chain still verifies. What is still
        in Label Studio must be deleted there. We do not store it again, but a later annotation of the person is stored,
        and so is a new task or annotation with an erased id. `until`: of all things that had the number one after
        another, those that were created until then.
        """
        if sum(target is not None for target in (person, task, annotation)) != 1:
            raise StoreError("erase either a person or a task.", hint="`hitl forget --person ID` or `--task ID`.")
        self._inbox.delete_deliveries(project, person=person, task=task)
        with self._database.write_without_trace() as connection:
            found = {annotation: until} if annotation is not None else {}
            if annotation is None:
                found = _annotations_of(connection, project, person=person, task=task, until=until)
            things: list[tuple[Entity, int, str]] = [("annotation", *item) for item in sorted(found.items())]
            things += [] if task is None else [("task", task, until)]
            people = _people_of(connection, project, found)
            self._log.append([Event(project, *thing, "erased", "own") for thing in things])
            events = sum(_erase(connection, project, *thing) for thing in things)
            tasks = frozenset(() if task is None else (task,))
            cases = self._cases.list_case_ids(project, tasks)
            subject = DataSubject(project, person, frozenset(emails), tasks, cases, frozenset(found))
            models = self._models_trained_on(project, set(found))
            _erase_rows(connection, subject)
            self._records.create_record(project, "indicators", {})  # caches read again what is left of them
            _rewrite_records(connection, subject)
            _rewrite_options(connection, subject)
            if person is not None:  # the bare number, so that no backup brings their data back
                self._records.create_record(project, ERASED_PERSON, {"number": person}, key=str(person))
            _update_annotator_counts(connection, project, people)
            self._jobs.request_job(project, "turn", connection=connection)
        return ErasureResult(tuple(sorted(found)), tuple(tasks) if events else (), events, models)

    def replace_task_data(self, project: str, task: Task) -> int:
        """Replace the data of a task and erase its former data; return how many payloads were deleted.

        The same transaction logs the erasure of its former versions without ending its lifetime.
        """
        self._inbox.delete_deliveries(project, task=task.id)
        with self._database.write_without_trace() as connection:
            row = (main_tables.task.c.project == project) & (main_tables.task.c.id == task.id)
            last = main_tables.task.c
            known_s = connection.execute(select(last.last_shown_s, last.known_s).where(row)).one_or_none() or (0.0,)
            seen_s = max(self._database.clock(), max(known_s) + _LATER_S)  # later than all that was known of it
            before = canonical_time_of(epoch_s(task.created_at) - _INSTANT_S)
            saved = event_from_task(task, "own", project=project, seen_s=seen_s)
            self._log.append([saved, Event(project, "task", task.id, before, "erased", "own")])
            logged = main_tables.event.c
            is_saved = (logged.project == project, logged.entity == "task", logged.action == "saved")
            query = select(logged.seq).where(*is_saved, logged.entity_id == task.id).order_by(logged.seq)
            erased = _delete_payloads(connection, project, connection.execute(query).scalars().all()[:-1])
            former = task_contents(main_tables.content.c, DataSubject(project, tasks=frozenset({task.id})))
            connection.execute(main_tables.content.delete().where(former))
        return erased

    def _models_trained_on(self, project: str, annotations: set[int]) -> tuple[str, ...]:
        """Return the models whose training record names one of these annotations, oldest first."""
        trainings = reversed(self._records.list_records(project, "training", limit=None))
        return tuple(
            str(training.body.get("version") or training.key)
            for training in trainings
            if not annotations.isdisjoint((*training.body.get("annotations", ()), *training.body.get("imported", ())))
        )


def _annotations_of(
    connection: Connection, project: str, *, person: int | None, task: int | None, until: str
) -> dict[int, str]:
    """Return the annotations that a person ever made, or that a task ever had: id -> the last such lifetime."""
    found: dict[int, str] = {}
    for saved in _saved_versions(connection, project):
        is_of_task = task is not None and saved.task == task and (not until or saved.creation_time <= until)
        if is_of_task or (person is not None and saved.person == person):
            found[saved.annotation] = max(saved.creation_time, found.get(saved.annotation, ""))
    return found


def _people_of(connection: Connection, project: str, found: Mapping[int, str]) -> set[int]:
    """Return all people who made a version of one of these annotations."""
    saved = _saved_versions(connection, project) if found else iter(())
    return {version.person for version in saved if version.annotation in found and version.person is not None}


class _SavedVersion(NamedTuple):
    """One stored version of an annotation."""

    annotation: int
    version: str
    creation_time: str
    person: int | None
    task: int | None


def _saved_versions(connection: Connection, project: str) -> Iterator[_SavedVersion]:
    """Yield every stored version of every annotation; both person and task may change between versions."""
    logged, payload = main_tables.event.c, main_tables.payload.c
    query = (
        select(logged.entity_id, logged.version, payload.body)
        .select_from(main_tables.event_with_payload)
        .where(logged.project == project, logged.entity == "annotation", logged.action == "saved")
        .where(payload.seq.is_not(None))
    )
    for row in stream(connection, query):
        body = orjson.loads(row.body)
        yield _SavedVersion(row.entity_id, row.version, creation_time(body), body.get("person"), body.get("task"))


def _update_annotator_counts(connection: Connection, project: str, people: set[int]) -> None:
    """Derive the rows of these people again: their first or last activity may have been erased."""
    versions: dict[int, list[str]] = {}
    for saved in _saved_versions(connection, project) if people else ():
        if saved.person in people:
            versions.setdefault(saved.person, []).append(saved.version)
    table = main_tables.person
    for person in sorted(people):
        row = (table.c.project == project) & (table.c.id == person)
        if times := versions.get(person):
            connection.execute(table.update().where(row).values(first_at=min(times), last_at=max(times)))
        else:
            connection.execute(table.delete().where(row))


def _erase(connection: Connection, project: str, entity: str, number: int, until: str) -> int:
    """Delete the payloads and salts of a thing until a lifetime; return how many events had data about it."""
    logged, payload = main_tables.event.c, main_tables.payload.c
    events = (
        select(logged.seq, logged.action, payload.body)
        .select_from(main_tables.event_with_payload)
        .where(logged.project == project, logged.entity == entity, logged.entity_id == number)
        .where(payload.seq.is_not(None))
    )
    rows = connection.execute(events).all()
    wanted = [
        row for row in rows if not until or row.action != "saved" or creation_time(orjson.loads(row.body)) <= until
    ]
    _delete_payloads(connection, project, [row.seq for row in wanted])
    return sum(row.action != "erased" for row in wanted)


def _delete_payloads(connection: Connection, project: str, seqs: Sequence[int]) -> int:
    """Delete the payloads and salts of events; return how many there were."""
    payload = main_tables.payload
    return sum(
        connection.execute(payload.delete().where(payload.c.project == project, payload.c.seq.in_(part))).rowcount
        for part in chunks(seqs)
    )


def _erase_rows(connection: Connection, subject: DataSubject) -> None:
    """Delete or blank the rows in the listed tables that are not projections."""
    for place, where in places(subject):
        if place.is_projection:
            continue
        if place.blank and subject.person is not None:
            connection.execute(place.table.update().where(where).values(**place.blank))
        else:
            connection.execute(place.table.delete().where(where))
    # for a person in a backup, only the annotations are known
    of_subject = override.c.annotation.in_(sorted(subject.annotations))
    connection.execute(override.delete().where(override.c.project == subject.project, of_subject))


def _rewrite_records(connection: Connection, subject: DataSubject) -> None:
    table = main_tables.record
    connection.execute(table.delete().where(table.c.project == subject.project, table.c.kind.in_(DERIVED)))
    rows = connection.execute(select(table.c.id, table.c.kind, table.c.body).where(table.c.project == subject.project))
    for row in rows.all():
        body = orjson.loads(row.body)
        left = redact(body, subject, row.kind)
        conditions = table.c.id == row.id
        if left is None:
            connection.execute(table.delete().where(conditions))
        elif left != body:
            connection.execute(table.update().where(conditions).values(body=dumps(left)))


def _rewrite_options(connection: Connection, subject: DataSubject) -> None:
    """Take a person's address out of the active policy."""
    table = main_tables.project
    conditions = table.c.id == subject.project
    options = connection.execute(select(table.c.options).where(conditions)).scalar()
    body = orjson.loads(options or "{}")
    left = redact(body, subject)
    if left != body:
        connection.execute(table.update().where(conditions).values(options=plain(dumps(left or {}).decode())))
