"""Cases as rows: opened once, moved only by whoever saw the newest version, each move with its line in the trail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import orjson
from sqlalchemy import Connection, func, select

from feedback.errors import NotStored
from feedback.store import schema
from feedback.store.engine import Database, chunks, dumps, plain
from feedback.store.review_tables import case_look, case_step, override, review_case
from ml_backend.records import Answer


@dataclass(frozen=True, slots=True)
class CaseRow:
    """A task under review. `version` is the fence: a move names the version that it was decided on."""

    project: str
    task: int
    state: str
    tier: str
    id: int = 0
    version: int = 1
    round: int = 1
    priority: float = 0.5  # 0 is urgent, 1 can wait
    why: str = ""  # why it is here, in words
    rule: str = ""
    skills: tuple[str, ...] = ()  # that whoever decides needs
    policy: str = ""
    segment: str = ""
    proposal: Answer | None = None
    proposed_by: str = ""  # "model", "people" or a tier
    confidence: float | None = None
    model: str = ""
    opened_s: float = 0.0
    entered_s: float = 0.0
    started_s: float | None = None
    first_due_s: float | None = None
    due_s: float | None = None
    paused_s: float | None = None
    alarms: tuple[str, ...] = ()
    breaches: int = 0
    review_project: str = ""
    review_task: int | None = None
    copies: int = 0
    answer: Answer | None = None
    decided_s: float | None = None
    resolved_s: float | None = None
    annotation: int | None = None
    callback: str = ""


@dataclass(frozen=True, slots=True)
class StepRow:
    """One line of a case's trail."""

    at_s: float
    event: str
    state: str
    tier: str
    person: int | None = None
    note: str = ""
    body: Mapping[str, Any] = field(default_factory=dict, hash=False)
    case: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class LookRow:
    """What one reviewer said of one case, and whether it counts."""

    review_project: str
    annotation: int
    case: int
    round: int
    tier: str
    entered_s: float
    person: int | None
    verdict: str
    answer: Answer | None
    reason: str
    comment: str
    feedback: Mapping[str, Any] = field(hash=False)
    shown: Answer | None
    seen: str  # the annotation's version
    at_s: float
    lead_time_s: float | None
    counted: bool
    refused: str  # why it does not count; "" where it does


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """One human answer beside what the model said; `changed` makes it an override."""

    project: str
    annotation: int
    task: int
    person: int | None
    shown: Answer | None  # on a blind vote: what the model would have said
    confidence: float | None
    model: str
    said: Answer
    changed: bool
    blind: bool
    reason: str
    segment: str
    tier: str
    policy: str
    at_s: float
    seen: str


class Cases:
    """Everything that review keeps."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_cases(self, rows: Sequence[CaseRow], event: str) -> list[CaseRow]:
        """Open a case for each task that has none, with the first line of its trail; gives those that are new.

        A task has one case for ever: what comes back later re-opens it.
        """
        wanted = {row.task: row for row in rows}
        if not wanted:
            return []
        project, table, made = rows[0].project, review_case.c, list[CaseRow]()
        with self._database.write() as connection:
            self._database.lock(connection, f"cases {project}")
            for part in chunks(list(wanted)):
                there = select(table.task).where(table.project == project, table.task.in_(part))
                known = set(connection.execute(there).scalars())
                new = [_values(wanted[task]) for task in part if task not in known]
                if not new:
                    continue
                connection.execute(review_case.insert(), new)
                fresh = [row["task"] for row in new]
                found = select(review_case).where(table.project == project, table.task.in_(fresh)).order_by(table.id)
                opened = [_case(row) for row in connection.execute(found)]
                steps = [StepRow(one.opened_s, event, one.state, one.tier, note=one.why) for one in opened]
                lines = [_step_values(one.id, 1, step) for one, step in zip(opened, steps, strict=True)]
                connection.execute(case_step.insert(), lines)
                made += opened
        return made

    def move_case(self, case: CaseRow, version: int, step: StepRow, looks: Iterable[LookRow] = ()) -> bool:
        """Put a case's new row in place of the version that was seen, with its line in the trail, or do nothing.

        False where somebody else moved it meanwhile.
        """
        table = review_case
        values = {**_values(case), "version": version + 1}
        with self._database.write() as connection:
            moved = connection.execute(
                table.update().where(table.c.id == case.id, table.c.version == version).values(**values)
            )
            if moved.rowcount != 1:
                return False
            connection.execute(case_step.insert(), [_step_values(case.id, version + 1, step)])
            self._database.upsert(connection, case_look, [_look_values(look) for look in looks])
        return True

    def save_looks(self, looks: Iterable[LookRow]) -> None:
        """Keep what reviewers said of cases that did not move by it."""
        with self._database.write() as connection:
            self._database.upsert(connection, case_look, [_look_values(look) for look in looks])

    def case(self, number: int) -> CaseRow:
        """Give one case; NotStored where there is none of this number."""
        with self._database.read() as connection:
            row = connection.execute(select(review_case).where(review_case.c.id == number)).one_or_none()
        if row is None:
            raise NotStored(f"there is no case {number}.", hint="`hitl cases` lists them.")
        return _case(row)

    def cases(
        self, project: str, *, states: Iterable[str] = (), tasks: Sequence[int] | None = None, but_tier: str = ""
    ) -> list[CaseRow]:
        """Give a project's cases, the most urgent first, then by age; `but_tier` leaves one tier out."""
        table = review_case.c
        query = select(review_case).where(table.project == project)
        if states:
            query = query.where(table.state.in_(list(states)))
        if but_tier:
            query = query.where(table.tier != but_tier)
        query = query.order_by(table.priority, table.entered_s, table.id)
        with self._database.read() as connection:
            if tasks is None:
                return [_case(row) for row in connection.execute(query)]
            found = [
                _case(row) for part in chunks(tasks) for row in connection.execute(query.where(table.task.in_(part)))
            ]
        return sorted(found, key=lambda case: (case.priority, case.entered_s, case.id))

    def case_tasks(self, project: str) -> dict[int, str]:
        """Give the state of each task that has a case."""
        table = review_case.c
        with self._database.read() as connection:
            rows = connection.execute(select(table.task, table.state).where(table.project == project)).all()
        return {row.task: row.state for row in rows}

    def case_counts(self, project: str) -> dict[tuple[str, str], int]:
        """Count cases by (tier, state)."""
        table = review_case.c
        query = select(table.tier, table.state, func.count()).where(table.project == project)
        with self._database.read() as connection:
            return {(row[0], row[1]): row[2] for row in connection.execute(query.group_by(table.tier, table.state))}

    def steps(self, case: int) -> list[StepRow]:
        """Give the whole trail of a case, oldest first."""
        return self._steps(case_step.c.case_id == case)

    def steps_of(self, cases: Sequence[int]) -> dict[int, list[StepRow]]:
        """Give the trails of these cases, oldest line first."""
        found: dict[int, list[StepRow]] = {case: [] for case in cases}
        for part in chunks(cases):
            for step in self._steps(case_step.c.case_id.in_(part)):
                found[step.case].append(step)
        return found

    def all_steps(self, project: str, *, since_s: float = 0.0) -> list[StepRow]:
        """Give the trails of a project's cases, by case and number."""
        of_project = select(review_case.c.id).where(review_case.c.project == project)
        return self._steps(case_step.c.case_id.in_(of_project), case_step.c.at_s >= since_s)

    def looks(self, project: str, *, case: int | None = None) -> list[LookRow]:
        """Give what reviewers said, of one case or of a whole source project, oldest first."""
        table = case_look.c
        query = select(case_look).order_by(table.at_s, table.annotation)
        if case is not None:
            query = query.where(table.case_id == case)
        else:
            of_project = select(review_case.c.id).where(review_case.c.project == project)
            query = query.where(table.case_id.in_(of_project))
        with self._database.read() as connection:
            return [_look(row) for row in connection.execute(query)]

    def looks_of(self, cases: Sequence[int]) -> dict[int, list[LookRow]]:
        """Give what reviewers said of these cases, oldest first."""
        found: dict[int, list[LookRow]] = {case: [] for case in cases}
        query = select(case_look).order_by(case_look.c.at_s, case_look.c.annotation)
        with self._database.read() as connection:
            for part in chunks(cases):
                for row in connection.execute(query.where(case_look.c.case_id.in_(part))):
                    found[row.case_id].append(_look(row))
        return found

    def changed_looks(self, project: str) -> list[tuple[int, str, int]]:
        """Give (case, review project, annotation) of counted looks that were edited or deleted since they decided."""
        now, look, case = schema.annotation.c, case_look.c, review_case.c
        query = (
            select(look.case_id, look.review_project, look.annotation)
            .join_from(case_look, review_case, case.id == look.case_id)
            .join(schema.annotation, (now.project == look.review_project) & (now.id == look.annotation))
            .where(case.project == project, case.state.in_(("decided", "resolved")), look.counted)
            .where(look.round == case.round, look.tier == case.tier, (now.version != look.seen) | now.gone)
            .order_by(look.case_id, look.annotation)
        )
        with self._database.read() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(query)]

    def save_overrides(self, rows: Sequence[OverrideRow]) -> None:
        """Keep human answers beside the model's; a changed annotation replaces its row."""
        with self._database.write() as connection:
            self._database.upsert(connection, override, [_override_values(row) for row in rows])

    def override_marks(self, project: str) -> dict[int, float]:
        """Give the time of the vote behind each row, by annotation: what has not changed need not be looked at."""
        table = override.c
        with self._database.read() as connection:
            rows = connection.execute(select(table.annotation, table.at_s).where(table.project == project)).all()
        return {row.annotation: row.at_s for row in rows}

    def overrides(self, project: str, *, changed: bool | None = True, since_s: float = 0.0) -> list[OverrideRow]:
        """Give overrides, oldest first; `changed=None` gives the answers that kept the model's, too."""
        table = override.c
        query = select(override).where(table.project == project, table.at_s >= since_s)
        if changed is not None:
            query = query.where(table.changed if changed else ~table.changed)
        with self._database.read() as connection:
            return [_override(row) for row in connection.execute(query.order_by(table.at_s, table.annotation))]

    def _steps(self, *which: Any) -> list[StepRow]:
        query = select(case_step).where(*which).order_by(case_step.c.case_id, case_step.c.number)
        with self._database.read() as connection:
            return [_step(row) for row in connection.execute(query)]


def forget(connection: Connection, project: str, *, person: int | None, task: int | None) -> None:
    """Take a person out of review, keeping that somebody looked; or remove a task's case with its trail."""
    cases = select(review_case.c.id).where(review_case.c.project == project)
    if person is not None:
        looked = case_look.c.case_id.in_(cases) & (case_look.c.person == person)
        connection.execute(case_look.update().where(looked).values(person=None, comment="", feedback="{}"))
        moved = case_step.c.case_id.in_(cases) & (case_step.c.person == person)
        connection.execute(case_step.update().where(moved).values(person=None, note="", body="{}"))
        connection.execute(override.delete().where(override.c.project == project, override.c.person == person))
    if task is not None:
        for table in (case_step, case_look):
            connection.execute(table.delete().where(table.c.case_id.in_(cases.where(review_case.c.task == task))))
        for table in (review_case, override):
            connection.execute(table.delete().where(table.c.project == project, table.c.task == task))


_CASE = tuple(one.name for one in fields(CaseRow))


def _values(case: CaseRow) -> dict[str, Any]:
    values = {name: getattr(case, name) for name in _CASE if name != "id"}
    values["skills"], values["alarms"] = dumps(case.skills).decode(), dumps(case.alarms).decode()
    values["proposal"], values["answer"] = _key(case.proposal), _key(case.answer)
    values["why"] = plain(case.why)
    return values


def _case(row: Any) -> CaseRow:
    values = {name: getattr(row, name) for name in _CASE}
    values["skills"], values["alarms"] = tuple(orjson.loads(row.skills)), tuple(orjson.loads(row.alarms))
    values["proposal"], values["answer"] = _answer(row.proposal), _answer(row.answer)
    return CaseRow(**values)


def _step_values(case: int, number: int, step: StepRow) -> dict[str, Any]:
    values = asdict(step)
    del values["case"]
    return {
        **values,
        "case_id": case,
        "number": number,
        "note": plain(step.note),
        "body": plain(dumps(step.body).decode()),
    }


def _step(row: Any) -> StepRow:
    return StepRow(
        row.at_s,
        row.event,
        row.state,
        row.tier,
        row.person,
        row.note,
        orjson.loads(row.body),
        row.case_id,
        row.number,
    )


def _look_values(look: LookRow) -> dict[str, Any]:
    values = {one.name: getattr(look, one.name) for one in fields(LookRow)}
    values["case_id"] = values.pop("case")
    values["answer"], values["shown"] = _key(look.answer), _key(look.shown)
    values["feedback"] = plain(dumps(look.feedback).decode())
    values["comment"], values["refused"] = plain(look.comment), plain(look.refused)
    return values


def _look(row: Any) -> LookRow:
    values = {one.name: getattr(row, one.name) for one in fields(LookRow) if one.name != "case"}
    values["answer"], values["shown"] = _answer(row.answer), _answer(row.shown)
    values["feedback"] = orjson.loads(row.feedback)
    return LookRow(case=row.case_id, **values)


def _override_values(row: OverrideRow) -> dict[str, Any]:
    values = asdict(row)
    values["shown"], values["said"] = _key(row.shown), row.said.key
    values["reason"], values["segment"] = plain(row.reason), plain(row.segment)
    return values


def _override(row: Any) -> OverrideRow:
    values = {one.name: getattr(row, one.name) for one in fields(OverrideRow)}
    values["shown"], values["said"] = _answer(row.shown), Answer.from_key(row.said)
    return OverrideRow(**values)


def _key(answer: Answer | None) -> str | None:
    return None if answer is None else plain(answer.key)


def _answer(key: str | None) -> Answer | None:
    return None if key is None else Answer.from_key(key)
