"""The decisions of the routing about each task, appended and never changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import orjson
from sqlalchemy import and_, func, select

from feedback.store.database.engine import dumps, stream
from feedback.store.database.row_mapping import RowMapper
from feedback.store.repositories.repository import Repository
from feedback.store.tables import main_tables, routing_tables
from feedback.store.tables.routing_tables import CurrentDecision, Decision

_BATCH = 5000  # rows in a transaction, so that no other process waits long


CURRENT_DECISIONS = RowMapper(CurrentDecision, routing_tables.decision)
_STANDING = tuple(item.name for item in fields(CurrentDecision))
_DECISIONS = RowMapper(Decision, routing_tables.decision, without=["standing"])


class DecisionsRepository(Repository):
    """The decisions of the routing."""

    def create_decisions(self, project: str, decisions: Sequence[Decision]) -> None:
        """Append decisions; a kill in between keeps the first ones, and the next turn makes the others."""
        for start in range(0, len(decisions), _BATCH):
            rows = [_row(project, decision) for decision in decisions[start : start + _BATCH]]
            with self._database.write() as connection:
                connection.execute(routing_tables.decision.insert(), rows)

    def list_current_decisions(self, project: str, *, after: int = 0) -> dict[int, tuple[CurrentDecision, str]]:
        """Return, for each task, the newest decision and the content that it was about; of those after a number."""
        table = routing_tables.decision.c
        newest = select(func.max(table.id)).where(table.project == project, table.id > after).group_by(table.task)
        columns = (*(table[name] for name in _STANDING), table.task, table.content)
        shared: dict[tuple[Any, ...], CurrentDecision] = {}  # few decisions are made of many tasks
        found: dict[int, tuple[CurrentDecision, str]] = {}
        for *current, task, content in self._list_rows(select(*columns).where(table.id.in_(newest))):
            key = tuple(current)
            found[task] = (shared.get(key) or shared.setdefault(key, CurrentDecision(*key)), content)
        return found

    def list_decided_tasks(self, project: str, tasks: Collection[int]) -> set[int]:
        """Return those of these tasks about which anything was decided."""
        table = routing_tables.decision.c
        query = select(table.task).where(table.project == project).distinct()
        return {row.task for row in self._list_rows_in(query, table.task, tasks)}

    def count_outcomes(self, project: str) -> dict[str, int]:
        """Count the tasks in each outcome: tiers, and "hold"."""
        table = routing_tables.decision.c
        newest = select(func.max(table.id)).where(table.project == project).group_by(table.task)
        query = select(table.outcome, func.count()).where(table.id.in_(newest)).group_by(table.outcome)
        return {row[0]: row[1] for row in self._list_rows(query.order_by(table.outcome))}

    def list_decisions(self, project: str, *, task: int | None = None, limit: int = 1000) -> list[Decision]:
        """Return the newest decisions of a project or of one task, newest first."""
        table = routing_tables.decision.c
        query = select(routing_tables.decision).where(table.project == project)
        if task is not None:
            query = query.where(table.task == task)
        return [_decision(row) for row in self._list_rows(query.order_by(table.id.desc()).limit(limit))]

    def stream_current_decisions(self, project: str) -> Iterator[tuple[Decision, Mapping[str, Any] | None]]:
        """Return the newest decision about each task, each with the data that it was about; None where erased."""
        table, content = routing_tables.decision.c, main_tables.content.c
        newest = select(func.max(table.id)).where(table.project == project).group_by(table.task)
        query = (
            select(routing_tables.decision, content.data.label("data"))
            .outerjoin_from(
                routing_tables.decision,
                main_tables.content,
                and_(content.project == table.project, content.task == table.task, content.hash == table.content),
            )
            .where(table.id.in_(newest))
            .order_by(table.id)
        )
        with self._database.read() as connection:
            for row in stream(connection, query):
                yield _decision(row), None if row.data is None else orjson.loads(row.data)


def _row(project: str, decision: Decision) -> dict[str, Any]:
    # by hand: a first turn writes one for each task, and the mapper costs a fifth more
    row: dict[str, Any] = {name: getattr(decision.standing, name) for name in _STANDING}
    own = {"project": project, "task": decision.task, "at_s": decision.at_s, "content": decision.content}
    return {**row, **own, "inputs": dumps(decision.inputs)}


def _decision(row: Any) -> Decision:
    return _DECISIONS.from_row(row, standing=CURRENT_DECISIONS.from_row(row))
