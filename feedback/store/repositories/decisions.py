"""Decisions: what the routing said of each task, appended and never changed; and the tasks that are kept back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import and_, func, select

from feedback.store.database.engine import Database, chunks, dumps, stream
from feedback.store.tables import main_tables, routing_tables

_STANDING = ("rule", "outcome", "policy", "model", "refused", "priority", "queue", "overlap")
_BATCH = 5000  # rows a transaction, so that nobody else waits long


@dataclass(frozen=True, slots=True)
class Standing:
    """The decision that holds for a task now, as far as the loop needs it."""

    rule: str
    outcome: str  # a tier, or "hold"
    policy: str  # its hash
    model: str  # the version that spoke; "" before the first
    refused: str  # why the rule's own outcome could not be; "" where it is
    priority: str
    queue: str
    overlap: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision with all that it was made from: enough to make it again."""

    task: int
    at_s: float
    content: str  # names the task's data as they were
    standing: Standing
    inputs: Mapping[str, Any] = field(hash=False)  # field -> value: all that a rule may look at beside the data
    id: int = 0  # its number, once it is stored


class Decisions:
    """What the routing decided, and which tasks we keep from everybody because of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def decide(self, project: str, decisions: Sequence[Decision]) -> None:
        """Append decisions; a kill in between keeps the first ones, and the next turn makes the others."""
        for start in range(0, len(decisions), _BATCH):
            rows = [_row(project, one) for one in decisions[start : start + _BATCH]]
            with self._database.write() as connection:
                connection.execute(routing_tables.decision.insert(), rows)

    def standing(self, project: str) -> dict[int, tuple[Standing, str]]:
        """Give, for each task, the newest decision and the content that it was about."""
        table = routing_tables.decision.c
        newest = select(func.max(table.id)).where(table.project == project).group_by(table.task)
        columns = (*(table[name] for name in _STANDING), table.task, table.content)
        shared: dict[tuple[Any, ...], Standing] = {}  # few decisions are made of many tasks
        found: dict[int, tuple[Standing, str]] = {}
        with self._database.read() as connection:
            for *stands, task, content in connection.execute(select(*columns).where(table.id.in_(newest))):
                key = tuple(stands)
                found[task] = (shared.get(key) or shared.setdefault(key, Standing(*key)), content)
        return found

    def routed(self, project: str) -> dict[str, int]:
        """Count the tasks that stand in each outcome: tiers, and "hold"."""
        table = routing_tables.decision.c
        newest = select(func.max(table.id)).where(table.project == project).group_by(table.task)
        query = select(table.outcome, func.count()).where(table.id.in_(newest)).group_by(table.outcome)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query.order_by(table.outcome))}

    def decisions(self, project: str, *, task: int | None = None, limit: int = 1000) -> list[Decision]:
        """Give the newest decisions of a project or of one task, newest first."""
        table = routing_tables.decision.c
        query = select(routing_tables.decision).where(table.project == project)
        if task is not None:
            query = query.where(table.task == task)
        with self._database.read() as connection:
            return [_decision(row) for row in connection.execute(query.order_by(table.id.desc()).limit(limit))]

    def decided(self, project: str, *, since_s: float = 0.0) -> Iterator[tuple[Decision, Mapping[str, Any] | None]]:
        """Give the newest decision about each task, each with the data that it was about; None where erased."""
        table, kept = routing_tables.decision.c, main_tables.content.c
        newest = select(func.max(table.id)).where(table.project == project, table.at_s >= since_s).group_by(table.task)
        query = (
            select(routing_tables.decision, kept.data.label("data"))
            .outerjoin_from(
                routing_tables.decision,
                main_tables.content,
                and_(kept.project == table.project, kept.task == table.task, kept.hash == table.content),
            )
            .where(table.id.in_(newest))
            .order_by(table.id)
        )
        with self._database.read() as connection:
            for row in stream(connection, query):
                yield _decision(row), None if row.data is None else orjson.loads(row.data)

    def data_of(self, project: str, task: int, content: str) -> Mapping[str, Any] | None:
        """Give a task's data as they were in a version; None where they are erased."""
        kept = main_tables.content.c
        query = select(kept.data).where(kept.project == project, kept.task == task, kept.hash == content)
        with self._database.read() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else orjson.loads(found)

    def contents(self, project: str) -> dict[int, str]:
        """Name the data that each task has now."""
        table = main_tables.task.c
        query = select(table.id, table.content).where(table.project == project, ~table.gone)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def keep_back(self, project: str, tasks: Iterable[int]) -> None:
        """Note tasks that we are about to hide from everybody in Label Studio."""
        now_s = self._database.clock()
        rows = [{"project": project, "task": task, "since_s": now_s} for task in sorted(set(tasks))]
        with self._database.write() as connection:
            self._database.add(connection, routing_tables.kept_back, rows)

    def kept_back(self, project: str) -> dict[int, float]:
        """Give the tasks that we hide, and since when."""
        table = routing_tables.kept_back.c
        with self._database.read() as connection:
            rows = connection.execute(select(table.task, table.since_s).where(table.project == project))
            return {row[0]: row[1] for row in rows}

    def let_go(self, project: str, tasks: Iterable[int]) -> None:
        """Forget that we hide these tasks; they are open again, or done."""
        table = routing_tables.kept_back
        with self._database.write() as connection:
            for part in chunks(sorted(set(tasks))):
                connection.execute(table.delete().where(table.c.project == project, table.c.task.in_(part)))


def _row(project: str, one: Decision) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(one.standing, name) for name in _STANDING}
    own = {"project": project, "task": one.task, "at_s": one.at_s, "content": one.content}
    return {**row, **own, "inputs": dumps(one.inputs)}


def _decision(row: Any) -> Decision:
    stands = Standing(**{name: getattr(row, name) for name in _STANDING})
    return Decision(row.task, row.at_s, row.content, stands, orjson.loads(row.inputs), row.id)
