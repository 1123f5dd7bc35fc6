"""Indicators: what people recorded about a task's customer before a moment, as a model reads it beside the task."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from feedback.policy import Policy
from feedback.policy.decision import named, of_data
from feedback.store import Fact, Store
from ml_backend.records import Known, Task

NOW_S = math.inf  # whatever was recorded until now


class Recorded:
    """Facts by entity, read as of a moment at which we knew of them, whatever moment they speak of.

    >>> fact = Fact("customer=7", "fraud", "card", "1", 5, 9, 3, None, said_s=10.0, recorded_s=60.0)
    >>> recorded = Recorded([fact], {"fraud": "customer"})
    >>> recorded.known(4, {"customer": 7}, at_s=60.0), recorded.known(4, {"customer": 7}, at_s=61.0)
    ({}, {'fraud': 'card'})
    """

    def __init__(self, facts: Iterable[Fact], fields: Mapping[str, str]) -> None:
        self._fields = fields  # indicator -> the task's field whose value it belongs to
        self._facts: dict[tuple[str, str], list[Fact]] = {}
        for one in facts:
            self._facts.setdefault((one.name, one.entity), []).append(one)

    def known(self, task: int, data: Mapping[str, Any], *, at_s: float) -> Known:
        """What was recorded before `at_s` about the entities of a task, and not with the answer to the task itself."""
        found: dict[str, Any] = {}
        if not self._facts:
            return found
        for name, field in self._fields.items():
            facts = self._facts.get((name, entity_of(field, data)))
            value = _newest(facts, task, at_s) if facts else None
            if value is not None:
                found[name] = value
        return found


def entity_of(field: str, data: Mapping[str, Any]) -> str:
    """Name the entity of a task: the field with its value; "" where the task has none. 7 and "7" are the same.

    >>> entity_of("customer.id", {"customer": {"id": 7}}), entity_of("customer.id", {"customer.id": " 7 "})
    ('customer.id=7', 'customer.id=7')
    """
    value = named(of_data(field)(data))
    return f"{field}={value}" if value else ""


def recorded(store: Store, project: str, policy: Policy) -> Recorded:
    """All that a project has recorded; nothing where the policy asks for no indicator."""
    return Recorded(store.facts(project) if policy.features else (), policy.features)


def known_now(store: Store, project: str, policy: Policy) -> Callable[[Sequence[Task]], list[Known]]:
    """What reads what is known now beside the data of a few tasks, for whoever serves predictions."""
    fields = policy.features

    def read(tasks: Sequence[Task]) -> list[Known]:
        wanted = {entity_of(field, task.data) for task in tasks for field in fields.values()} - {""}
        here = Recorded(store.facts(project, entities=wanted) if wanted else (), fields)
        return [here.known(task.id, task.data, at_s=NOW_S) for task in tasks]

    return read


def _newest(facts: Sequence[Fact], task: int, at_s: float) -> Any:
    """The newest thing said, of what was recorded in time; an annotation says what its newest version does."""
    said: dict[tuple[str, int], Fact] = {}
    for one in facts:
        if one.recorded_s < at_s and one.task != task:
            key = (one.origin, one.annotation)
            if key not in said or _order(said[key]) < _order(one):
                said[key] = one
    standing = [one for one in said.values() if one.value is not None]
    return max(standing, key=_order).value if standing else None


def _order(one: Fact) -> tuple[Any, ...]:
    return one.said_s, one.recorded_s, one.origin, one.annotation, one.seq
