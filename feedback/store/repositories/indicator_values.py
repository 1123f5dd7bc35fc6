"""The feature store: what people recorded of an entity, kept with when it was said and when we knew of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, and_, select

from feedback.store.database.engine import Database, chunks, dumps, plain, stream
from feedback.store.log.projections import epoch_s
from feedback.store.tables import main_tables
from feedback.store.tables.indicator_tables import indicator, indicator_head
from feedback.store.tables.review_tables import case_look, case_step, review_case

Value = float | str | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Fact:
    """What one version of one annotation says of an entity; the newest version of an annotation is what it says."""

    entity: str  # "customer_id=4711"
    name: str  # of the question
    value: Value  # None: taken back
    origin: str  # the project in which it was said
    annotation: int
    seq: int  # the event of that project
    task: int  # of the source project
    person: int | None
    said_s: float
    recorded_s: float
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Told:
    """One event of an annotation, as its log has it."""

    seq: int
    annotation: int
    version: str
    action: str  # saved or deleted
    received_s: float
    body: Mapping[str, Any] | None = field(hash=False)  # None: deleted, or erased


class Indicators:
    """What is known beside tasks' own data."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def facts(self, project: str, *, entities: Collection[str] | None = None) -> list[Fact]:
        """Give every fact that counts, of some entities or of all, in no order that means anything."""
        query = select(indicator).where(indicator.c.project == project, indicator.c.counted)
        with self._database.read() as connection:
            if entities is None:
                return [_fact(row) for row in stream(connection, query)]
            return [
                _fact(row)
                for part in chunks(sorted(entities))
                for row in connection.execute(query.where(indicator.c.entity.in_(part)))
            ]

    def facts_of(self, project: str, origin: str, annotations: Collection[int]) -> list[Fact]:
        """Give what these annotations ever said, whether it counts or not."""
        table = indicator.c
        query = select(indicator).where(table.project == project, table.origin == origin)
        with self._database.read() as connection:
            return [
                _fact(row)
                for part in chunks(sorted(annotations))
                for row in connection.execute(query.where(table.annotation.in_(part)))
            ]

    def add_facts(self, project: str, facts: Sequence[Fact], heads: Mapping[str, int], *, questions: str) -> None:
        """Keep facts, and how far each log was read for them; the same again changes nothing."""
        rows = [_row(project, one) for one in facts]
        read = [
            {"project": project, "origin": origin, "seq": seq, "questions": questions} for origin, seq in heads.items()
        ]
        with self._database.write() as connection:
            self._database.upsert(connection, indicator, rows)
            self._database.upsert(connection, indicator_head, read)

    def fact_heads(self, project: str, *, questions: str) -> dict[str, int]:
        """Give how far each log was read for these questions; {} where others were asked, whose facts are dropped."""
        table = indicator_head.c
        with self._database.read() as connection:
            rows = connection.execute(select(indicator_head).where(table.project == project)).all()
        if any(row.questions != questions for row in rows):
            with self._database.write() as connection:
                drop_facts(connection, project)
            return {}
        return {row.origin: row.seq for row in rows}

    def told_since(self, origin: str, seq: int, *, limit: int) -> list[Told]:
        """Give the first `limit` events of a project's annotations after one, oldest first."""
        told, kept = main_tables.event.c, main_tables.payload.c
        query = (
            select(told.seq, told.entity_id, told.version, told.action, told.received_s, kept.body)
            .outerjoin_from(
                main_tables.event, main_tables.payload, and_(kept.project == told.project, kept.seq == told.seq)
            )
            .where(told.project == origin, told.entity == "annotation", told.seq > seq)
            .where(told.action.in_(("saved", "deleted")))
            .order_by(told.seq)
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [
            Told(
                row.seq,
                row.entity_id,
                row.version,
                row.action,
                row.received_s,
                None if row.body is None else orjson.loads(row.body),
            )
            for row in rows
        ]

    def source_tasks(self, project: str) -> dict[tuple[str, int], int]:
        """Give the task that each copy (review project, task) was ever made of; honeypots are copies of none."""
        query = (
            select(review_case.c.task, case_step.c.body)
            .join_from(case_step, review_case, review_case.c.id == case_step.c.case_id)
            .where(review_case.c.project == project, case_step.c.event == "place")
        )
        found: dict[tuple[str, int], int] = {}
        with self._database.read() as connection:
            for task, text in stream(connection, query):
                body = orjson.loads(text)
                found[str(body["room"]), int(body["task"])] = task
        return found

    def judge_facts(self, project: str, refused: Collection[int]) -> int:
        """Let facts count or not as the answers do that they came with; gives how many annotations changed.

        `refused` are annotations of the source project that do not count; in review projects the look says so, and
        what nobody has looked at yet does not count yet.
        """
        table, look = indicator.c, case_look.c
        query = (
            select(table.origin, table.annotation, table.counted, look.counted.label("looked"))
            .outerjoin_from(
                indicator, case_look, and_(look.review_project == table.origin, look.annotation == table.annotation)
            )
            .where(table.project == project)
            .distinct()
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        changed: dict[bool, set[tuple[str, int]]] = {True: set(), False: set()}
        for row in rows:
            should = row.annotation not in refused if row.origin == project else bool(row.looked)
            if row.counted != should:
                changed[should].add((row.origin, row.annotation))
        if not any(changed.values()):
            return 0
        with self._database.write() as connection:
            for should, which in changed.items():
                for origin, annotation in which:
                    one = (table.project == project, table.origin == origin, table.annotation == annotation)
                    connection.execute(indicator.update().where(*one).values(counted=should))
        return sum(map(len, changed.values()))

    def first_answered(self, project: str) -> dict[int, float]:
        """Give when people first answered each task, here or in a review project; epoch seconds."""
        vote, made, look, case = main_tables.vote.c, main_tables.annotation.c, case_look.c, review_case.c
        here = select(vote.task, vote.created_at, vote.at_s).where(vote.project == project)
        there = (
            select(case.task, made.created_at, look.at_s)
            .join_from(case_look, review_case, case.id == look.case_id)
            .outerjoin(main_tables.annotation, and_(made.project == look.review_project, made.id == look.annotation))
            .where(case.project == project, look.round > 0)
        )
        found: dict[int, float] = {}
        with self._database.read() as connection:
            for query in (here, there):
                for task, created_at, at_s in stream(connection, query):
                    first_s = min((epoch_s(created_at) if created_at else 0.0) or at_s, at_s)
                    found[task] = min(first_s, found.get(task, first_s))
        return found


def drop_facts(connection: Connection, project: str) -> None:
    """Forget all facts of a project: the next turn reads them from the logs again."""
    for table in (indicator, indicator_head):
        connection.execute(table.delete().where(table.c.project == project))


def _row(project: str, one: Fact) -> dict[str, Any]:
    return {
        "project": project,
        "origin": one.origin,
        "seq": one.seq,
        "name": one.name,
        "entity": plain(one.entity),
        "value": None if one.value is None else dumps(one.value).decode(),
        "annotation": one.annotation,
        "task": one.task,
        "person": one.person,
        "said_s": one.said_s,
        "recorded_s": one.recorded_s,
        "counted": one.counted,
    }


def _fact(row: Any) -> Fact:
    value = None if row.value is None else orjson.loads(row.value)
    return Fact(
        row.entity,
        row.name,
        tuple(value) if isinstance(value, list) else value,
        row.origin,
        row.annotation,
        row.seq,
        row.task,
        row.person,
        row.said_s,
        row.recorded_s,
        bool(row.counted),
    )
