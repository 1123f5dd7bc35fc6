"""Cases as rows: opened once, moved only by whoever saw the newest version, each move with its line in the trail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import func, select

from feedback.errors import NotStored
from feedback.store.database.engine import Database, chunks
from feedback.store.repositories.case_rows import (
    CaseEvent,
    CaseRow,
    OverrideRow,
    ReviewRow,
    case_values,
    look_values,
    override_values,
    read_case,
    read_look,
    read_override,
    read_step,
    step_values,
)
from feedback.store.tables import main_tables
from feedback.store.tables.review_tables import case_look, case_step, override, review_case


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

    def move_case(self, case: CaseRow, version: int, step: CaseEvent, looks: Iterable[ReviewRow] = ()) -> bool:
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

    def save_looks(self, looks: Iterable[ReviewRow]) -> None:
        """Keep what reviewers said of cases that did not move by it."""
        with self._database.write() as connection:
            self._database.upsert(connection, case_look, [look_values(look) for look in looks])

    def case(self, number: int) -> CaseRow:
        """Give one case; NotStored where there is none of this number."""
        with self._database.read() as connection:
            row = connection.execute(select(review_case).where(review_case.c.id == number)).one_or_none()
        if row is None:
            raise NotStored(f"there is no case {number}.", hint="`hitl cases` lists them.")
        return read_case(row)

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
                return [read_case(row) for row in connection.execute(query)]
            found = [
                read_case(row)
                for part in chunks(tasks)
                for row in connection.execute(query.where(table.task.in_(part)))
            ]
        return sorted(found, key=lambda case: (case.priority, case.entered_s, case.id))

    def cases_anew(self, project: str, tier: str, rule: str, *, states: Iterable[str]) -> list[CaseRow]:
        """Give the cases of a tier in another round than the first, or that this rule opened."""
        table = review_case.c
        query = select(review_case).where(table.project == project, table.tier == tier, table.state.in_(list(states)))
        with self._database.read() as connection:
            rows = connection.execute(query.where((table.round > 1) | (table.rule == rule)).order_by(table.id))
            return [read_case(row) for row in rows]

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

    def steps(self, case: int) -> list[CaseEvent]:
        """Give the whole trail of a case, oldest first."""
        return self._steps(case_step.c.case_id == case)

    def steps_of(self, cases: Sequence[int]) -> dict[int, list[CaseEvent]]:
        """Give the trails of these cases, oldest line first."""
        found: dict[int, list[CaseEvent]] = {case: [] for case in cases}
        for part in chunks(cases):
            for step in self._steps(case_step.c.case_id.in_(part)):
                found[step.case].append(step)
        return found

    def all_steps(self, project: str, *, since_s: float = 0.0) -> list[CaseEvent]:
        """Give the trails of a project's cases, by case and number."""
        of_project = select(review_case.c.id).where(review_case.c.project == project)
        return self._steps(case_step.c.case_id.in_(of_project), case_step.c.at_s >= since_s)

    def looks(self, project: str, *, case: int | None = None) -> list[ReviewRow]:
        """Give what reviewers said, of one case or of a whole source project, oldest first."""
        table = case_look.c
        query = select(case_look).order_by(table.at_s, table.annotation)
        if case is not None:
            query = query.where(table.case_id == case)
        else:
            of_project = select(review_case.c.id).where(review_case.c.project == project)
            query = query.where(table.case_id.in_(of_project))
        with self._database.read() as connection:
            return [read_look(row) for row in connection.execute(query)]

    def looks_of(self, cases: Sequence[int]) -> dict[int, list[ReviewRow]]:
        """Give what reviewers said of these cases, oldest first."""
        found: dict[int, list[ReviewRow]] = {case: [] for case in cases}
        query = select(case_look).order_by(case_look.c.at_s, case_look.c.annotation)
        with self._database.read() as connection:
            for part in chunks(cases):
                for row in connection.execute(query.where(case_look.c.case_id.in_(part))):
                    found[row.case_id].append(read_look(row))
        return found

    def changed_looks(self, project: str) -> list[tuple[int, str, int]]:
        """Give (case, review project, annotation) of counted looks that were edited or deleted since they decided."""
        now, look, case = main_tables.annotation.c, case_look.c, review_case.c
        query = (
            select(look.case_id, look.review_project, look.annotation)
            .join_from(case_look, review_case, case.id == look.case_id)
            .join(main_tables.annotation, (now.project == look.review_project) & (now.id == look.annotation))
            .where(case.project == project, case.state.in_(("decided", "resolved")), look.counted)
            .where(look.round == case.round, look.tier == case.tier, (now.version != look.seen) | now.gone)
            .where(~now.erased)  # who was forgotten took nothing back
            .order_by(look.case_id, look.annotation)
        )
        with self._database.read() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(query)]

    def save_overrides(self, rows: Sequence[OverrideRow]) -> None:
        """Keep human answers beside the model's; a changed annotation replaces its row."""
        with self._database.write() as connection:
            self._database.upsert(connection, override, [override_values(row) for row in rows])

    def override_marks(self, project: str) -> dict[int, float]:
        """Give the time of the vote behind each row, by annotation: what has not changed need not be looked at."""
        table = override.c
        with self._database.read() as connection:
            rows = connection.execute(select(table.annotation, table.at_s).where(table.project == project)).all()
        return {row.annotation: row.at_s for row in rows}

    def overriding(self, project: str) -> set[int]:
        """Give the answers that changed what was shown."""
        table = override.c
        query = select(table.annotation).where(table.project == project, table.changed, ~table.blind)
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def overrides(self, project: str, *, changed: bool | None = True, since_s: float = 0.0) -> list[OverrideRow]:
        """Give overrides, oldest first; `changed=None` gives the answers that kept the model's, too."""
        table = override.c
        query = select(override).where(table.project == project, table.at_s >= since_s)
        if changed is not None:
            query = query.where(table.changed if changed else ~table.changed)
        with self._database.read() as connection:
            return [read_override(row) for row in connection.execute(query.order_by(table.at_s, table.annotation))]

    def _steps(self, *which: Any) -> list[CaseEvent]:
        query = select(case_step).where(*which).order_by(case_step.c.case_id, case_step.c.number)
        with self._database.read() as connection:
            return [read_step(row) for row in connection.execute(query)]
