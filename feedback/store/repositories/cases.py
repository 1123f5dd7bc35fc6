"""The cases of review: created once for a task, changed only by version, each change with its event."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import ColumnElement, distinct, func, not_, or_, select

from feedback.errors import NotStored
from feedback.store.database.engine import chunks
from feedback.store.database.row_mapping import RowMapper
from feedback.store.log.event_log import REUSED_ID
from feedback.store.repositories.repository import Repository
from feedback.store.repositories.reviews import REVIEWS
from feedback.store.tables import main_tables
from feedback.store.tables.review_tables import (
    CaseEvent,
    CaseRow,
    ReviewRow,
    case_event,
    next_case_change,
    review,
    review_case,
    review_task,
    urgency,
)

_CASES = RowMapper(CaseRow, review_case)
_EVENTS = RowMapper(CaseEvent, case_event)


@dataclass(frozen=True, slots=True)
class BlindCases:
    """Cases in these states that measure; or began blind, or are of a rule or a tier, and not of another rule."""

    states: Collection[str]
    rule: str
    tiers: Collection[str]
    but: str  # the other rule


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """Which cases of a project are listed and counted; without values all of them."""

    states: Collection[str] = ()
    tier: str = ""
    person: int | None = None  # who answered or skipped the task, reviewed the case, or moved it
    late_at_s: float | None = None  # only cases that were due by then and are not decided
    clocked_tier: str = ""  # where a task has a case only because its clock runs: the first tier
    clocked: bool | None = None  # only those cases (True), or all others (False)
    without: BlindCases | None = None  # all but these

    def conditions(self, project: str) -> list[ColumnElement[bool]]:
        """Return the conditions on the table of cases."""
        case, annotation = review_case.c, main_tables.annotation.c
        found: list[ColumnElement[bool]] = [case.project == project]
        if self.states:
            found.append(case.state.in_(list(self.states)))
        if self.tier:
            found.append(case.tier == self.tier)
        if self.late_at_s is not None:
            found += [case.due_s < self.late_at_s, case.paused_s.is_(None), case.state.in_(("queued", "started"))]
        if self.clocked is not None:
            is_clocked = (case.rule == "") & (case.tier == self.clocked_tier)
            found.append(is_clocked if self.clocked else not_(is_clocked))
        if (blind := self.without) is not None:
            is_blind = (case.rule == blind.rule) | case.blind | case.tier.in_(list(blind.tiers))
            is_blind = case.measures | (is_blind & (case.rule != blind.but))
            found.append(not_(case.state.in_(list(blind.states)) & is_blind))
        if self.person is not None:
            answered = select(annotation.task).where(annotation.project == project, annotation.person == self.person)
            reviewed = select(review.c.case).where(review.c.person == self.person)
            moved = select(case_event.c.case).where(case_event.c.person == self.person)
            found.append(or_(case.task.in_(answered), case.id.in_(reviewed), case.id.in_(moved)))
        return found


class CasesRepository(Repository):
    """Cases and their events."""

    def create_cases(self, rows: Sequence[CaseRow], event: str) -> list[CaseRow]:
        """Create a case with its first event for each task that has none; return the new ones.

        A task has one case for ever; a later reason reopens it.
        """
        wanted = {row.task: row for row in rows}
        if not wanted:
            return []
        project, table, made = rows[0].project, review_case.c, list[CaseRow]()
        with self._database.write() as connection:
            self._database.lock(connection, f"cases {project}")
            for part in chunks(list(wanted)):
                with_case = select(table.task).where(table.project == project, table.task.in_(part))
                known = set(connection.execute(with_case).scalars())
                change = next_case_change(connection, project)
                new = [_values(wanted[task], change=change) for task in part if task not in known]
                if not new:
                    continue
                inserted = connection.execute(review_case.insert().returning(review_case), new)
                opened = sorted(map(_CASES.from_row, inserted), key=lambda case: case.id)
                first = [
                    CaseEvent(row.opened_s, event, row.state, row.tier, None, row.why, {"rule": row.rule}, row.id, 1)
                    for row in opened
                ]
                connection.execute(case_event.insert(), list(map(_EVENTS.to_values, first)))
                made += opened
        return made

    def update_case(self, case: CaseRow, version: int, step: CaseEvent, looks: Iterable[ReviewRow] = ()) -> bool:
        """Replace the row of a case, with an event, if its version is still the one that was read.

        False if another process moved it meanwhile.
        """
        table = review_case
        with self._database.write() as connection:
            self._database.lock(connection, f"cases {case.project}")
            change = next_case_change(connection, case.project)
            values = _values(case, version=version + 1, change=change)
            moved = connection.execute(
                table.update().where(table.c.id == case.id, table.c.version == version).values(**values)
            )
            if moved.rowcount != 1:
                return False
            connection.execute(case_event.insert(), [_EVENTS.to_values(step, case=case.id, number=version + 1)])
            self._database.upsert(connection, review, [REVIEWS.to_values(look) for look in looks])
            if step.event == "assign":
                made = {"review_project": step.body["review_project"], "id": step.body["task"], "case": case.id}
                self._database.upsert(connection, review_task, [made])
        return True

    def save_shown(self, case: CaseRow, shown: str) -> None:
        """Record what the review task of a case shows now; this is no move, so the case keeps its version."""
        table = review_case
        with self._database.write() as connection:
            self._database.lock(connection, f"cases {case.project}")
            change = next_case_change(connection, case.project)
            row = (table.c.id == case.id, table.c.version == case.version)
            connection.execute(table.update().where(*row).values(shown=shown, change=change))

    def get_case(self, number: int) -> CaseRow:
        """Return one case; NotStored if there is no case with this id."""
        row = self._get_row(select(review_case).where(review_case.c.id == number))
        if row is None:
            raise NotStored(f"there is no case {number}.", hint="`hitl cases PROJECT` lists them.")
        return _CASES.from_row(row)

    def list_cases(
        self, project: str, *, states: Iterable[str] = (), tasks: Sequence[int] | None = None
    ) -> list[CaseRow]:
        """Return a project's cases, the most urgent first."""
        chosen = CaseFilter(states=list(states))
        if tasks is None:
            return self.find_cases(project, chosen)
        query = select(review_case).where(*chosen.conditions(project))
        found = [_CASES.from_row(row) for row in self._list_rows_in(query, review_case.c.task, tasks)]
        return sorted(found, key=urgency)

    def find_cases(
        self, project: str, chosen: CaseFilter, *, limit: int | None = None, offset: int = 0
    ) -> list[CaseRow]:
        """Return the cases that a filter chooses, the most urgent first; `limit` and `offset` give one page of them."""
        query = select(review_case).where(*chosen.conditions(project))
        query = query.order_by(review_case.c.urgency, review_case.c.id).limit(limit).offset(offset)
        return [_CASES.from_row(row) for row in self._list_rows(query)]

    def list_agreed_cases(self, project: str, *, n_people: int, limit: int) -> list[CaseRow]:
        """Return the resolved cases changed last whose final answer this many reviewers gave, newest first."""
        table = review_case.c
        n_agreeing = (
            select(func.count(distinct(review.c.person)))
            .where(review.c.case == table.id, review.c.counted, review.c.answer == table.answer)
            .scalar_subquery()
        )
        query = select(review_case).where(table.project == project, table.state == "resolved", n_agreeing >= n_people)
        return [_CASES.from_row(row) for row in self._list_rows(query.order_by(table.change.desc()).limit(limit))]

    def list_changed_cases(self, project: str, after: int) -> tuple[list[CaseRow], int, int]:
        """Return the cases changed after a change number, the newest change number, and the number of cases.

        Fewer cases than before mean that some were erased.
        """
        table = review_case.c
        changed = select(review_case).where(table.project == project, table.change > after).order_by(table.change)
        count = select(func.count()).select_from(review_case).where(table.project == project)
        with self._database.read() as connection:
            rows = connection.execute(changed).all()
            n_cases = connection.execute(count).scalar_one()
        newest = rows[-1].change if rows else after
        return [_CASES.from_row(row) for row in rows], newest, n_cases

    def count_cases(self, project: str, chosen: CaseFilter = CaseFilter()) -> dict[tuple[str, str], int]:
        """Count the cases that a filter chooses by (tier, state)."""
        table = review_case.c
        query = select(table.tier, table.state, func.count()).where(*chosen.conditions(project))
        return {(row[0], row[1]): row[2] for row in self._list_rows(query.group_by(table.tier, table.state))}

    def list_case_events(self, case: int) -> list[CaseEvent]:
        """Return the whole trail of a case, oldest first."""
        return self.list_events_of_cases([case])[case]

    def list_events_of_cases(self, cases: Sequence[int]) -> dict[int, list[CaseEvent]]:
        """Return the trails of these cases, oldest line first."""
        found: dict[int, list[CaseEvent]] = {case: [] for case in cases}
        query = select(case_event).order_by(case_event.c.case, case_event.c.number)
        for row in self._list_rows_in(query, case_event.c.case, cases):
            found[row.case].append(_EVENTS.from_row(row))
        return found

    def list_project_events(self, project: str, *, since_s: float = 0.0) -> list[CaseEvent]:
        """Return the trails of a project's cases, by case and number."""
        of_project = select(review_case.c.id).where(review_case.c.project == project)
        query = select(case_event).where(case_event.c.case.in_(of_project), case_event.c.at_s >= since_s)
        rows = self._list_rows(query.order_by(case_event.c.case, case_event.c.number))
        return [_EVENTS.from_row(row) for row in rows]

    def list_case_ids(self, project: str, tasks: Collection[int]) -> frozenset[int]:
        """Return the cases of these tasks, and of former tasks that had their numbers."""
        case, record = review_case.c, main_tables.record.c
        found = self._list_values(select(case.id).where(case.project == project, case.task.in_(tasks)))
        if tasks:
            reused = select(record.body).where(record.project == project, record.kind == REUSED_ID)
            bodies = map(orjson.loads, self._list_values(reused))
            found += [body["case"] for body in bodies if body["task"] in tasks]
        return frozenset(found)

    def list_honeypots(self, cases: Collection[int]) -> list[Mapping[str, Any]]:
        """Return the records of the honeypots that were made of these cases: review_project, task, case."""
        table = main_tables.record.c
        texts = self._list_values(select(table.body).where(table.kind == "honeypot"))
        return [body for body in map(orjson.loads, texts) if body["case"] in cases]

    def list_review_tasks(self, cases: Collection[int]) -> set[tuple[str, int]]:
        """Return the review tasks that were ever made from these cases, as (review project, task)."""
        made = review_task.c
        query = select(made.review_project, made.id)
        return {(row.review_project, row.id) for row in self._list_rows_in(query, made.case, cases)}

    def list_review_task_sources(
        self, project: str, review_project: str, review_tasks: Collection[int]
    ) -> dict[int, int]:
        """Return the source task that each of these review tasks was made from; honeypots are made from none."""
        made, case = review_task.c, review_case.c
        query = select(made.id, case.task).join_from(review_task, review_case, case.id == made.case)
        query = query.where(case.project == project, made.review_project == review_project)
        return {row.id: row.task for row in self._list_rows_in(query, made.id, review_tasks)}


def _values(case: CaseRow, **more: Any) -> dict[str, Any]:
    return _CASES.to_values(case, urgency=urgency(replace(case, id=0)), **more)
