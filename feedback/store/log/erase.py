"""Forgetting: what a person said or a task held is erased; the chain and a rebuild still verify."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, select, text

from feedback.errors import StoreError
from feedback.store.database.engine import Database, chunks, dumps, plain, stream
from feedback.store.log.event_log import Log
from feedback.store.log.events import Event, event_from_task
from feedback.store.log.id_reuse import REUSED_ID
from feedback.store.log.lifetimes import creation_time as born_of
from feedback.store.log.lifetimes import canonical_time_of
from feedback.store.log.projections import epoch_s
from feedback.store.rows import ErasureResult
from feedback.store.tables import main_tables
from feedback.store.tables.json_redaction import DERIVED, without
from feedback.store.tables.personal_data import DataSubject, data_of, places
from feedback.store.tables.review_tables import override, review_case
from ml_backend.records import Task

_INSTANT_S = 1e-6  # the finest that times are told in
_LATER_S = 1e-3
_FORGOTTEN = "forgotten"  # the kind of record that keeps a number


def erase_data(
    database: Database,
    log: Log,
    project: str,
    *,
    person: int | None = None,
    task: int | None = None,
    annotation: int | None = None,
    until: str = "",
    emails: Iterable[str] = (),
) -> ErasureResult:
    """Erase payloads, salts and derived rows of a person's annotations, or of a task and all that was said of it.

    The log keeps numbers and hashes; without salt and payload they tell nothing. What is still in Label Studio must
    be deleted there: we do not take it back in, but a new annotation of the person is a new one, and so is whatever
    Label Studio gives the number to later. `until` names the last life of a task or annotation that is meant.
    """
    if sum(one is not None for one in (person, task, annotation)) != 1:
        raise StoreError("forget either a person or a task.", hint="`hitl forget --person ID` or `--task ID`.")
    with database.write() as connection:
        _overwrite_what_is_deleted(database, connection)
        found = _annotations_of(connection, project, person=person, task=task, until=until)
        if annotation is not None:
            found[annotation] = until
        things = [("annotation", number, creation_time) for number, creation_time in sorted(found.items())]
        things += [] if task is None else [("task", task, until)]
        people = _people_of(connection, project, found)
        log.append(
            [Event(project, entity, one, creation_time, "forgotten", "own") for entity, one, creation_time in things]
        )  # type: ignore[arg-type]
        events = sum(_erase(connection, project, *thing) for thing in things)
        tasks = frozenset(() if task is None else (task,))
        whom = DataSubject(
            project, person, frozenset(emails), tasks, cases_of(connection, project, tasks), frozenset(found)
        )
        models = _models_trained_on(connection, project, set(found))
        _erase_rows(connection, whom)
        _rewrite_records(connection, whom)
        _rewrite_options(connection, whom)
        if person is not None:
            _record_erased_person(connection, project, person, database.clock())
        _update_annotator_counts(connection, project, people)
    database.leave_no_trace()
    return ErasureResult(tuple(sorted(found)), tuple(tasks), events, models)


def replace_task_data(database: Database, log: Log, project: str, task: Task) -> int:
    """Give a standing task other data, and erase the data that it had; gives how many payloads went.

    The log is told in the same breath that what was said of it before is forgotten, without an end to its life.
    """
    with database.write() as connection:
        _overwrite_what_is_deleted(database, connection)
        row = (main_tables.task.c.project == project) & (main_tables.task.c.id == task.id)
        last_s = connection.execute(select(main_tables.task.c.last_shown_s).where(row)).scalar() or 0.0
        seen_s = max(database.clock(), last_s + _LATER_S)  # later than every look at it before
        before = canonical_time_of(epoch_s(task.created_at) - _INSTANT_S)
        log.append(
            [
                event_from_task(task, "own", project=project, seen_s=seen_s),
                Event(project, "task", task.id, before, "forgotten", "own", seen_s=0.0),
            ]
        )
        told, kept = main_tables.event.c, main_tables.payload
        here = (told.project == project, told.entity == "task", told.entity_id == task.id, told.action == "saved")
        seqs = list(connection.execute(select(told.seq).where(*here).order_by(told.seq)).scalars())
        erased = 0
        for part in chunks(seqs[:-1]):
            erased += connection.execute(kept.delete().where(kept.c.project == project, kept.c.seq.in_(part))).rowcount
        connection.execute(
            main_tables.content.delete().where(data_of(DataSubject(project, tasks=frozenset({task.id}))))
        )
    database.leave_no_trace()
    return erased


def cases_of(connection: Connection, project: str, tasks: Collection[int]) -> frozenset[int]:
    """Give the cases of these tasks, and of former tasks that had their numbers."""
    case, record = review_case.c, main_tables.record.c
    query = select(case.id).where(case.project == project, case.task.in_(tasks))
    found = set(connection.execute(query).scalars())
    aside = select(record.body).where(record.project == project, record.kind == REUSED_ID)
    bodies = map(orjson.loads, connection.execute(aside).scalars() if tasks else ())
    return frozenset(found | {body["case"] for body in bodies if body["task"] in tasks})


def forgotten_people(connection: Connection) -> list[tuple[str, int]]:
    """Give everybody who was ever forgotten, by project and number: a backup may still hold them."""
    table = main_tables.record.c
    query = select(table.project, table.body).where(table.kind == _FORGOTTEN).order_by(table.id)
    return [(row.project, int(orjson.loads(row.body)["number"])) for row in connection.execute(query)]


def _annotations_of(
    connection: Connection, project: str, *, person: int | None, task: int | None, until: str
) -> dict[int, str]:
    """The annotations that a person ever answered for, or that a task ever had: number -> its last such life."""
    found: dict[int, str] = {}
    if person is None and task is None:
        return found
    for said in _saved_versions(connection, project):
        if (
            said.person == person
            if person is not None
            else said.task == task and not (until and said.creation_time > until)
        ):
            found[said.annotation] = max(said.creation_time, found.get(said.annotation, ""))
    return found


def _people_of(connection: Connection, project: str, found: Mapping[int, str]) -> set[int]:
    """Everybody who answered for one of these annotations, in any version."""
    said = _saved_versions(connection, project) if found else iter(())
    return {one.person for one in said if one.annotation in found and one.person is not None}


class _SavedVersion(NamedTuple):
    """One stored version of an annotation."""

    annotation: int
    version: str
    creation_time: str
    person: int | None
    task: int | None


def _saved_versions(connection: Connection, project: str) -> Iterator[_SavedVersion]:
    """Every stored version of every annotation; the whole log is read, since both person and task may change."""
    told, kept = main_tables.event.c, main_tables.payload.c
    query = (
        select(told.entity_id, told.version, kept.body)
        .join_from(main_tables.event, main_tables.payload, (kept.project == told.project) & (kept.seq == told.seq))
        .where(told.project == project, told.entity == "annotation", told.action == "saved")
    )
    for row in stream(connection, query):
        body = orjson.loads(row.body)
        yield _SavedVersion(row.entity_id, row.version, born_of(body), body.get("person"), body.get("task"))


def _update_annotator_counts(connection: Connection, project: str, people: set[int]) -> None:
    """Derive the rows of some persons anew: when they were first and last at work may have been forgotten."""
    spans: dict[int, tuple[str, str]] = {}
    for said in _saved_versions(connection, project) if people else ():
        if said.person in people:
            first, last = spans.get(said.person, (said.version, said.version))
            spans[said.person] = (min(first, said.version), max(last, said.version))
    table = main_tables.person
    for person in sorted(people):
        row = (table.c.project == project) & (table.c.id == person)
        if person in spans:
            first, last = spans[person]
            connection.execute(table.update().where(row).values(first_at=first, last_at=last))
        else:
            connection.execute(table.delete().where(row))


def _erase(connection: Connection, project: str, entity: str, number: int, until: str) -> int:
    """Remove the payloads and salts of a thing, as far as `until`; gives how many there were."""
    told, kept = main_tables.event.c, main_tables.payload
    events = (
        select(told.seq, told.action, kept.c.body)
        .join_from(main_tables.event, kept, (kept.c.project == told.project) & (kept.c.seq == told.seq))
        .where(told.project == project, told.entity == entity, told.entity_id == number)
    )
    rows = connection.execute(events).all()
    seqs = [row.seq for row in rows if not until or row.action != "saved" or born_of(orjson.loads(row.body)) <= until]
    return sum(
        connection.execute(kept.delete().where(kept.c.project == project, kept.c.seq.in_(part))).rowcount
        for part in chunks(seqs)
    )


def _erase_rows(connection: Connection, whom: DataSubject) -> None:
    """Empty every place of the list that does not follow from the log."""
    for place, where in places(whom):
        if place.follows:
            continue
        if place.blank and whom.person is not None:
            connection.execute(place.table.update().where(where).values(**place.blank))
        else:
            connection.execute(place.table.delete().where(where))
    gone = override.c.annotation.in_(sorted(whom.annotations))  # of a backup's person, of whom only answers are known
    connection.execute(override.delete().where(override.c.project == whom.project, gone))


def _rewrite_records(connection: Connection, whom: DataSubject) -> None:
    table = main_tables.record
    connection.execute(table.delete().where(table.c.project == whom.project, table.c.kind.in_(DERIVED)))
    rows = connection.execute(select(table.c.id, table.c.kind, table.c.body).where(table.c.project == whom.project))
    for row in rows.all():
        body = orjson.loads(row.body)
        left = without(body, whom, row.kind)
        here = table.c.id == row.id
        if left is None:
            connection.execute(table.delete().where(here))
        elif left != body:
            connection.execute(table.update().where(here).values(body=dumps(left)))


def _rewrite_options(connection: Connection, whom: DataSubject) -> None:
    """Take a person's address out of the active policy."""
    table = main_tables.project
    here = table.c.id == whom.project
    options = connection.execute(select(table.c.options).where(here)).scalar()
    body = orjson.loads(options or "{}")
    left = without(body, whom)
    if left != body:
        connection.execute(table.update().where(here).values(options=plain(dumps(left or {}).decode())))


def _record_erased_person(connection: Connection, project: str, person: int, now_s: float) -> None:
    """Keep the bare number of whom we forgot, so that no backup brings them back."""
    key = str(person)
    table = main_tables.record
    known = select(table.c.id).where(table.c.project == project, table.c.kind == _FORGOTTEN, table.c.key == key)
    if connection.execute(known).scalar() is None:
        row = {"project": project, "kind": _FORGOTTEN, "key": key, "body": dumps({"number": person}), "at_s": now_s}
        connection.execute(table.insert(), [row])


def _models_trained_on(connection: Connection, project: str, annotations: set[int]) -> tuple[str, ...]:
    """The models whose training record names one of these annotations."""
    table = main_tables.record.c
    query = select(table.key, table.body).where(table.project == project, table.kind == "training")
    found: list[str] = []
    for row in connection.execute(query.order_by(table.id)):
        body: dict[str, Any] = orjson.loads(row.body)
        if annotations & set(body.get("annotations", ())):
            found.append(str(body.get("version") or row.key))
    return tuple(found)


def _overwrite_what_is_deleted(database: Database, connection: Connection) -> None:
    if database.sqlite:
        connection.execute(text("PRAGMA secure_delete=ON"))
