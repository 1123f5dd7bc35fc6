"""The signals: what other systems sent about tasks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

import orjson
from sqlalchemy import String, cast, func, literal, select

from feedback.store.database.engine import plain
from feedback.store.database.row_mapping import RowMapper
from feedback.store.repositories.decisions import CURRENT_DECISIONS
from feedback.store.repositories.repository import Repository, has_record
from feedback.store.tables import routing_tables
from feedback.store.tables.routing_tables import CurrentDecision, Signal


@dataclass(frozen=True, slots=True)
class NewestSignal:
    """The newest signal of one name, and how many there were."""

    value: bool | float | str
    at_s: float
    count: int


_SIGNALS = RowMapper(Signal, routing_tables.signal)


class SignalsRepository(Repository):
    """The signals about the tasks of each project."""

    def create_signal(self, signal: Signal) -> bool:
        """Append a signal; False where its key is known already."""
        row = _SIGNALS.to_values(signal, received_s=self._database.clock())
        table = routing_tables.signal
        with self._database.write() as connection:
            self._database.lock(connection, f"signal {signal.project} {row['key']}")
            known = select(table.c.id).where(table.c.project == signal.project, table.c.key == row["key"])
            if connection.execute(known).scalar() is not None:
                return False
            connection.execute(table.insert(), [row])
            return True

    def list_signals(self, project: str, *, task: int | None = None, limit: int = 1000) -> list[Signal]:
        """Return the newest signals, newest first; with `task`, those about it alone. Unmatched ones are left out."""
        table = routing_tables.signal.c
        query = select(routing_tables.signal).where(table.project == project, table.unmatched == "")
        if task is not None:
            query = query.where(table.task == task)
        return [_SIGNALS.from_row(row) for row in self._list_rows(query.order_by(table.id.desc()).limit(limit))]

    def list_unanswered_signals(self, project: str, kind: str) -> list[Signal]:
        """Return, oldest first, the signals of tasks that name a callback and have no record asked-ID of this kind."""
        table = routing_tables.signal.c
        query = select(routing_tables.signal).where(
            table.project == project,
            table.callback != "",
            table.task.is_not(None),
            table.unmatched == "",
            ~has_record(project, kind, literal("asked-") + cast(table.id, String)),
        )
        return [_SIGNALS.from_row(row) for row in self._list_rows(query.order_by(table.id))]

    def list_unhandled_flags(self, project: str, name: str, *, but: str) -> list[Signal]:
        """Return, oldest first, the true flags of tasks without a record of the kind `but` under the signal's key."""
        table = routing_tables.signal.c
        query = select(routing_tables.signal).where(
            table.project == project,
            table.name == name,
            table.value == "true",
            table.task.is_not(None),
            table.unmatched == "",
            ~has_record(project, but, table.key),
        )
        return [_SIGNALS.from_row(row) for row in self._list_rows(query.order_by(table.id))]

    def list_newest_signals(self, project: str) -> dict[int | None, dict[str, NewestSignal]]:
        """Return, by task and name, the newest value and how many came; under None what is about the whole project."""
        table = routing_tables.signal.c
        place = func.row_number().over(
            partition_by=(table.task, table.name), order_by=(table.at_s.desc(), table.id.desc())
        )
        count = func.count().over(partition_by=(table.task, table.name))
        ranked = select(
            table.task, table.name, table.value, table.at_s, count.label("many"), place.label("place")
        ).where(table.project == project, table.unmatched == "")
        rows = ranked.subquery()
        found: dict[int | None, dict[str, NewestSignal]] = {}
        for row in self._list_rows(select(rows).where(rows.c.place == 1)):
            found.setdefault(row.task, {})[row.name] = NewestSignal(orjson.loads(row.value), row.at_s, row.many)
        return found

    def list_received_times(self, project: str, names: Collection[str]) -> dict[tuple[int, str], float]:
        """Return the time of the newest signal by task and name, without signals about the whole project."""
        table = routing_tables.signal.c
        query = select(table.task, table.name, func.max(table.received_s).label("last_s")).where(
            table.project == project, table.name.in_(sorted(names)), table.task.is_not(None), table.unmatched == ""
        )
        return {(row.task, row.name): row.last_s for row in self._list_rows(query.group_by(table.task, table.name))}

    def list_signals_with_decisions(
        self, project: str, *, names: Sequence[str]
    ) -> list[tuple[Signal, CurrentDecision | None]]:
        """Return signals about tasks, oldest first, each with the decision that stood when it happened."""
        received, made = routing_tables.signal, routing_tables.decision.alias()
        before = (
            select(func.max(made.c.id))
            .where(made.c.project == received.c.project, made.c.task == received.c.task, made.c.at_s <= received.c.at_s)
            .scalar_subquery()
        )
        stood = routing_tables.decision
        query = (
            select(received, *(stood.c[item.name] for item in fields(CurrentDecision)))
            .outerjoin_from(received, stood, stood.c.id == before)
            .where(received.c.project == project, received.c.task.is_not(None), received.c.name.in_(list(names)))
        )
        return [
            (_SIGNALS.from_row(row), None if row.rule is None else CURRENT_DECISIONS.from_row(row))
            for row in self._list_rows(query.order_by(received.c.id))
        ]

    def list_unmatched_signals(self, project: str) -> list[Signal]:
        """Return the signals whose task is not known yet, oldest first."""
        table = routing_tables.signal.c
        query = select(routing_tables.signal).where(table.project == project, table.unmatched != "").order_by(table.id)
        return [_SIGNALS.from_row(row) for row in self._list_rows(query)]

    def count_unmatched_signals(self, project: str) -> int:
        """Count the signals whose task is not known yet."""
        table = routing_tables.signal.c
        query = select(func.count()).where(table.project == project, table.unmatched != "")
        return int(self._get_value(query))

    def get_signal_head(self, project: str) -> int:
        """Return the number of the newest signal; 0 where there is none."""
        table = routing_tables.signal.c
        return int(self._get_value(select(func.max(table.id)).where(table.project == project)) or 0)

    def update_signal_task(self, signal: Signal, *, task: int | None, unmatched: str) -> None:
        """Set the task of an unmatched signal, or the reason for which it still has none."""
        table = routing_tables.signal
        with self._database.write() as connection:
            conditions = (table.c.id == signal.id, table.c.unmatched != "")
            connection.execute(table.update().where(*conditions).values(task=task, unmatched=plain(unmatched)))
