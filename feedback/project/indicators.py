"""Indicators: what people recorded about a task's customer, as a model reads it with the task, as of any moment."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from feedback.policy import Policy
from feedback.policy.rule_matching import identifier_text, make_data_reader
from feedback.store import IndicatorValue, Store
from feedback.store.database.engine import plain
from ml_backend.records import Indicators, Task

NOW_S = math.inf  # as of now: everything that was recorded


class IndicatorHistory:
    """All recorded indicator values of a project, by entity.

    What counts is the time at which a value was recorded, not the time that it speaks of.

    Examples
    --------
    >>> value = IndicatorValue("customer=7", "fraud", "card", "1", 5, 9, 3, None, answered_s=10.0, recorded_s=60.0)
    >>> history = IndicatorHistory([value], {"fraud": "customer"})
    >>> [history.as_of(4, {"customer": 7}, at_s=at_s) for at_s in (60.0, 61.0)]
    [{}, {'fraud': 'card'}]
    """

    def __init__(self, values: Iterable[IndicatorValue], fields: Mapping[str, str]) -> None:
        self._fields = fields  # indicator -> the task field that names the entity
        self._values: dict[tuple[str, str], list[IndicatorValue]] = {}
        for value in values:
            self._values.setdefault((value.name, value.entity), []).append(value)

    def as_of(self, task: int, data: Mapping[str, Any], *, at_s: float) -> Indicators:
        """Return the indicators of a task's entities that were recorded before `at_s` (epoch seconds).

        Values that came with an answer to the task itself are left out: the model would learn the answer from them.
        """
        found: dict[str, Any] = {}
        if not self._values:
            return found
        for name, field in self._fields.items():
            values = self._values.get((name, entity_of(field, data)))
            newest = _newest_value(values, task, at_s) if values else None
            if newest is not None:
                found[name] = newest
        return found


def entity_of(field: str, data: Mapping[str, Any]) -> str:
    """Return the entity of a task as "field=value"; "" where the task has no such field. 7 and "7" are the same.

    Examples
    --------
    >>> entity_of("customer.id", {"customer": {"id": 7}}), entity_of("customer.id", {"customer.id": " 7 "})
    ('customer.id=7', 'customer.id=7')
    """
    value = plain(identifier_text(make_data_reader(field)(data)))  # as the store has it
    return f"{field}={value}" if value else ""


def load_indicators(store: Store, project: str, policy: Policy) -> IndicatorHistory:
    """Load every indicator value of a project; an empty history where the policy has no indicators."""
    return IndicatorHistory(store.indicators.list_indicators(project) if policy.indicators else (), policy.indicators)


def make_indicator_reader(store: Store, project: str, policy: Policy) -> Callable[[Sequence[Task]], list[Indicators]]:
    """Return a function that reads the current indicators of a few tasks, for the prediction server."""
    fields = policy.indicators

    def read(tasks: Sequence[Task]) -> list[Indicators]:
        entities = {entity_of(field, task.data) for task in tasks for field in fields.values()} - {""}
        history = IndicatorHistory(
            store.indicators.list_indicators(project, entities=entities) if entities else (), fields
        )
        return [history.as_of(task.id, task.data, at_s=NOW_S) for task in tasks]

    return read


def _newest_value(values: Sequence[IndicatorValue], task: int, at_s: float) -> Any:
    """Return the newest value recorded in time; each annotation counts with its newest version only."""
    newest: dict[tuple[str, int], IndicatorValue] = {}
    for value in values:
        if value.recorded_s < at_s and value.task != task:
            key = (value.origin, value.annotation)
            if key not in newest or _order(newest[key]) < _order(value):
                newest[key] = value
    present = [value for value in newest.values() if value.value is not None]
    return max(present, key=_order).value if present else None


def _order(value: IndicatorValue) -> tuple[Any, ...]:
    return value.answered_s, value.recorded_s, value.origin, value.annotation, value.seq
