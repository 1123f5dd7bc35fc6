"""The cases of review: created once for a task, changed only by version, each change with its event."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import orjson
from sqlalchemy import (
    func,
    select,
)

from feedback.errors import NotStored
from feedback.store.database.engine import Database, chunks, stream
from feedback.store.log.erase import cases_of
from feedback.store.repositories.case_rows import (
    CaseEvent,
    CaseRow,
    ReviewRow,
    case_values,
    look_values,
    read_case,
    read_step,
    step_values,
)
from feedback.store.tables import main_tables
from feedback.store.tables.review_tables import case_look, case_step, review_case


class CasesRepository:
    """Cases and their events."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create_cases(self, rows: Sequence[CaseRow], event: str) -> list[CaseRow]:
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
                new = [case_values(wanted[task]) for task in part if task not in known]
                if not new:
                    continue
                connection.execute(review_case.insert(), new)
                fresh = [row["task"] for row in new]
                found = select(review_case).where(table.project == project, table.task.in_(fresh)).order_by(table.id)
                opened = [read_case(row) for row in connection.execute(found)]
                steps = [
                    CaseEvent(one.opened_s, event, one.state, one.tier, note=one.why, body={"rule": one.rule})
                    for one in opened
                ]
                lines = [step_values(one.id, 1, step) for one, step in zip(opened, steps, strict=True)]
                connection.execute(case_step.insert(), lines)
                made += opened
        return made

    def update_case(self, case: CaseRow, version: int, step: CaseEvent, looks: Iterable[ReviewRow] = ()) -> bool:
        """Put a case's new row in place of the version that was seen, with its line in the trail, or do nothing.

        False where somebody else moved it meanwhile.
        """
        table = review_case
        values = {**case_values(case), "version": version + 1}
        with self._database.write() as connection:
            moved = connection.execute(
                table.update().where(table.c.id == case.id, table.c.version == version).values(**values)
            )
            if moved.rowcount != 1:
                return False
            connection.execute(case_step.insert(), [step_values(case.id, version + 1, step)])
            self._database.upsert(connection, case_look, [look_values(look) for look in looks])
        return True

    def get_case(self, number: int) -> CaseRow:
        """Give one case; NotStored where there is none of this number."""
        with self._database.read() as connection:
            row = connection.execute(select(review_case).where(review_case.c.id == number)).one_or_none()
        if row is None:
            raise NotStored(f"there is no case {number}.", hint="`hitl cases` lists them.")
        return read_case(row)

    def list_cases(
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
                return [read_case(row) for row in connection.execute(query)]
            found = [
                read_case(row)
                for part in chunks(tasks)
                for row in connection.execute(query.where(table.task.in_(part)))
            ]
        return sorted(found, key=lambda case: (case.priority, case.entered_s, case.id))

    def list_reopened_cases(self, project: str, tier: str, rule: str, *, states: Iterable[str]) -> list[CaseRow]:
        """Give the cases of a tier in another round than the first, or that this rule opened."""
        table = review_case.c
        query = select(review_case).where(table.project == project, table.tier == tier, table.state.in_(list(states)))
        with self._database.read() as connection:
            rows = connection.execute(query.where((table.round > 1) | (table.rule == rule)).order_by(table.id))
            return [read_case(row) for row in rows]

    def list_case_states(self, project: str) -> dict[int, str]:
        """Give the state of each task that has a case."""
        table = review_case.c
        with self._database.read() as connection:
            rows = connection.execute(select(table.task, table.state).where(table.project == project)).all()
        return {row.task: row.state for row in rows}

    def count_cases(self, project: str) -> dict[tuple[str, str], int]:
        """Count cases by (tier, state)."""
        table = review_case.c
        query = select(table.tier, table.state, func.count()).where(table.project == project)
        with self._database.read() as connection:
            return {(row[0], row[1]): row[2] for row in connection.execute(query.group_by(table.tier, table.state))}

    def list_case_events(self, case: int) -> list[CaseEvent]:
        """Give the whole trail of a case, oldest first."""
        return self._steps(case_step.c.case_id == case)

    def list_events_of_cases(self, cases: Sequence[int]) -> dict[int, list[CaseEvent]]:
        """Give the trails of these cases, oldest line first."""
        found: dict[int, list[CaseEvent]] = {case: [] for case in cases}
        for part in chunks(cases):
            for step in self._steps(case_step.c.case_id.in_(part)):
                found[step.case].append(step)
        return found

    def list_project_events(self, project: str, *, since_s: float = 0.0) -> list[CaseEvent]:
        """Give the trails of a project's cases, by case and number."""
        of_project = select(review_case.c.id).where(review_case.c.project == project)
        return self._steps(case_step.c.case_id.in_(of_project), case_step.c.at_s >= since_s)

    def _steps(self, *which: Any) -> list[CaseEvent]:
        query = select(case_step).where(*which).order_by(case_step.c.case_id, case_step.c.number)
        with self._database.read() as connection:
            return [read_step(row) for row in connection.execute(query)]

    def list_case_ids(self, project: str, task: int) -> frozenset[int]:
        """Give the cases of a task, and of former tasks that had its number."""
        with self._database.read() as connection:
            return cases_of(connection, project, {task})

    def list_honeypots(self, cases: Collection[int]) -> list[Mapping[str, Any]]:
        """Give the records of the honeypots that were made of these cases: room, task, case."""
        table = main_tables.record.c
        with self._database.read() as connection:
            bodies = connection.execute(select(table.body).where(table.kind == "honeypot")).scalars()
            return [body for body in map(orjson.loads, bodies) if body["case"] in cases]

    def list_review_task_sources(self, project: str) -> dict[tuple[str, int], int]:
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
