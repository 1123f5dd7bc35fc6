"""The signals: what other systems sent about tasks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields

import orjson
from sqlalchemy import String, cast, func, literal, select

from feedback.store.database.engine import plain
from feedback.store.database.row_mapping import RowMapper
from feedback.store.repositories.decisions import CURRENT_DECISIONS
from feedback.store.repositories.repository import Repository
from feedback.store.tables import main_tables, routing_tables
from feedback.store.tables.routing_tables import CurrentDecision, Signal

_DECISION = routing_tables.decision.c
_RECORD = main_tables.record.c
_SIGNAL = routing_tables.signal.c


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
        with self._database.write() as connection:
            self._database.lock(connection, f"signal {signal.project} {row['key']}")
            known = select(_SIGNAL.id).where(_SIGNAL.project == signal.project, _SIGNAL.key == row["key"])
            if connection.execute(known).scalar() is not None:
                return False
            connection.execute(routing_tables.signal.insert(), [row])
            return True

    def list_signals(self, project: str, *, task: int | None = None, limit: int = 1000) -> list[Signal]:
        """Return the newest signals, newest first; with `task`, those about it alone. Unmatched ones are left out."""
        query = select(routing_tables.signal).where(_SIGNAL.project == project, _SIGNAL.unmatched == "")
        if task is not None:
            query = query.where(_SIGNAL.task == task)
        return [_SIGNALS.from_row(row) for row in self._list_rows(query.order_by(_SIGNAL.id.desc()).limit(limit))]

    def list_unanswered_signals(self, project: str, kind: str) -> list[Signal]:
        """Return, oldest first, the signals of tasks that name a callback and have no record asked-ID of this kind."""
        key = literal("asked-") + cast(_SIGNAL.id, String)
        answer = select(_RECORD.id).where(_RECORD.project == project, _RECORD.kind == kind, _RECORD.key == key)
        query = select(routing_tables.signal).where(
            _SIGNAL.project == project,
            _SIGNAL.callback != "",
            _SIGNAL.task.is_not(None),
            _SIGNAL.unmatched == "",
            ~answer.exists(),
        )
        return [_SIGNALS.from_row(row) for row in self._list_rows(query.order_by(_SIGNAL.id))]

    def list_unhandled_flags(self, project: str, name: str, *, but: str) -> list[Signal]:
        """Return, oldest first, the true flags of tasks without a record of the kind `but` under the signal's key."""
        done = select(_RECORD.id).where(_RECORD.project == project, _RECORD.kind == but, _RECORD.key == _SIGNAL.key)
        query = select(routing_tables.signal).where(
            _SIGNAL.project == project, _SIGNAL.name == name, _SIGNAL.value == "true", _SIGNAL.task.is_not(None)
        )
        with self._database.read() as connection:
            rows = connection.execute(query.where(_SIGNAL.unmatched == "", ~done.exists()).order_by(_SIGNAL.id))
            return [_SIGNALS.from_row(row) for row in rows]

    def list_newest_signals(self, project: str) -> dict[int | None, dict[str, NewestSignal]]:
        """Return, by task and name, the newest value and how many came; under None what is about the whole project."""
        place = func.row_number().over(
            partition_by=(_SIGNAL.task, _SIGNAL.name), order_by=(_SIGNAL.at_s.desc(), _SIGNAL.id.desc())
        )
        count = func.count().over(partition_by=(_SIGNAL.task, _SIGNAL.name))
        ranked = select(
            _SIGNAL.task, _SIGNAL.name, _SIGNAL.value, _SIGNAL.at_s, count.label("many"), place.label("place")
        ).where(_SIGNAL.project == project, _SIGNAL.unmatched == "")
        rows = ranked.subquery()
        found: dict[int | None, dict[str, NewestSignal]] = {}
        for row in self._list_rows(select(rows).where(rows.c.place == 1)):
            found.setdefault(row.task, {})[row.name] = NewestSignal(orjson.loads(row.value), row.at_s, row.many)
        return found

    def list_received_times(self, project: str, names: Collection[str]) -> dict[tuple[int, str], float]:
        """Return the time of the newest signal by task and name, without signals about the whole project."""
        query = select(_SIGNAL.task, _SIGNAL.name, func.max(_SIGNAL.received_s).label("last_s")).where(
            _SIGNAL.project == project,
            _SIGNAL.name.in_(sorted(names)),
            _SIGNAL.task.is_not(None),
            _SIGNAL.unmatched == "",
        )
        return {(row.task, row.name): row.last_s for row in self._list_rows(query.group_by(_SIGNAL.task, _SIGNAL.name))}

    def list_signals_with_decisions(
        self, project: str, *, names: Sequence[str] = ()
    ) -> list[tuple[Signal, CurrentDecision | None]]:
        """Return signals about tasks, oldest first, each with the decision that stood when it happened."""
        made = routing_tables.decision.alias()
        before = (
            select(func.max(made.c.id))
            .where(made.c.project == _SIGNAL.project, made.c.task == _SIGNAL.task, made.c.at_s <= _SIGNAL.at_s)
            .scalar_subquery()
        )
        query = (
            select(routing_tables.signal, *(_DECISION[item.name] for item in fields(CurrentDecision)))
            .outerjoin_from(routing_tables.signal, routing_tables.decision, _DECISION.id == before)
            .where(_SIGNAL.project == project, _SIGNAL.task.is_not(None))
        )
        if names:
            query = query.where(_SIGNAL.name.in_(list(names)))
        return [
            (_SIGNALS.from_row(row), None if row.rule is None else CURRENT_DECISIONS.from_row(row))
            for row in self._list_rows(query.order_by(_SIGNAL.id))
        ]

    def list_unmatched_signals(self, project: str) -> list[Signal]:
        """Return the signals whose task is not known yet, oldest first."""
        query = (
            select(routing_tables.signal)
            .where(_SIGNAL.project == project, _SIGNAL.unmatched != "")
            .order_by(_SIGNAL.id)
        )
        return [_SIGNALS.from_row(row) for row in self._list_rows(query)]

    def count_unmatched_signals(self, project: str) -> int:
        """Count the signals whose task is not known yet."""
        query = select(func.count()).where(_SIGNAL.project == project, _SIGNAL.unmatched != "")
        return int(self._get_value(query))

    def get_signal_head(self, project: str) -> int:
        """Return the number of the newest signal; 0 where there is none."""
        return int(self._get_value(select(func.max(_SIGNAL.id)).where(_SIGNAL.project == project)) or 0)

    def update_signal_task(self, signal: Signal, *, task: int | None, unmatched: str) -> None:
        """Set the task of an unmatched signal, or the reason for which it still has none."""
        with self._database.write() as connection:
            conditions = (_SIGNAL.id == signal.id, _SIGNAL.unmatched != "")
            connection.execute(
                routing_tables.signal.update().where(*conditions).values(task=task, unmatched=plain(unmatched))
            )
