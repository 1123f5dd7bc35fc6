"""Whether any task can meet a rule's condition, and whether every task that meets it also meets another one.

Both are derived from the conditions alone. True is certain; False may also mean that it cannot be derived.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from feedback.policy.conditions import AllOf, AnyOf, Compare, Condition, Not, make_test
from feedback.policy.reviewer_questions import SignalKind
from feedback.policy.rules import find_field

_Span = tuple[Any, Any, bool, bool]  # low, high, whether low is included, whether high is included
_ORDERED = ("gt", "gte", "lt", "lte")
_MAX_VALUES = 100  # of a list; longer lists are only compared as a whole


def implies(strong: Condition, weak: Condition) -> bool:
    """Return whether every task that meets the first condition meets the second.

    >>> big, bigger = Compare("data.amount", "gte", 1000), Compare("data.amount", "gt", 5000)
    >>> implies(AllOf((bigger, Compare("data.new", "eq", True))), big), implies(big, bigger)
    (True, False)
    """
    if isinstance(strong, AnyOf):
        return all(implies(part, weak) for part in strong.parts)
    if isinstance(weak, AllOf):
        return all(implies(strong, part) for part in weak.parts)
    if isinstance(weak, AnyOf) and any(implies(strong, part) for part in weak.parts):
        return True
    if isinstance(strong, AllOf):
        return any(implies(part, weak) for part in strong.parts)
    if isinstance(strong, Not):
        return isinstance(weak, Not) and implies(weak.part, strong.part)
    if isinstance(weak, Not):
        return excludes(strong, weak.part)
    return isinstance(weak, Compare) and strong.field == weak.field and _implies(strong, weak)


def excludes(first: Condition, second: Condition) -> bool:
    """Return whether no task can meet both conditions."""
    if isinstance(first, AnyOf):
        return all(excludes(part, second) for part in first.parts)
    if isinstance(second, AnyOf):
        return all(excludes(first, part) for part in second.parts)
    if isinstance(second, AllOf):
        return any(excludes(first, part) for part in second.parts)
    if isinstance(first, AllOf):
        return any(excludes(part, second) for part in first.parts)
    if isinstance(second, Not):
        return implies(first, second.part)
    if isinstance(first, Not):
        return implies(second, first.part)
    return first.field == second.field and _excludes(first, second)


def assume_missing(condition: Condition, is_missing: Callable[[str], bool]) -> Condition | bool:
    """Return what is left of a condition where some fields have no value; True or False where that decides it.

    >>> sure = Compare("model.confidence", "gte", 0.9)
    >>> assume_missing(Not(sure), lambda field: field.startswith("model.")), assume_missing(sure, "data.x".__eq__)
    (True, Compare(field='model.confidence', operator='gte', operand=0.9))
    """
    if isinstance(condition, Compare):
        return make_test(condition)(None) if is_missing(condition.field) else condition
    if isinstance(condition, Not):
        inner = assume_missing(condition.part, is_missing)
        return not inner if isinstance(inner, bool) else Not(inner)
    is_all = isinstance(condition, AllOf)
    parts = [assume_missing(part, is_missing) for part in condition.parts]
    if (not is_all) in parts:
        return not is_all
    left = tuple(part for part in parts if not isinstance(part, bool))
    return (AllOf(left) if is_all else AnyOf(left)) if left else is_all


def find_contradiction(condition: Condition, signals: Mapping[str, SignalKind]) -> tuple[Condition, ...]:
    """Return one or two parts of a condition that no task can meet together; () where there are none."""
    parts = list(_parts(condition))
    for index, part in enumerate(parts):
        if isinstance(part, Compare) and _out_of_range(part, signals):
            return (part,)
        if isinstance(part, AnyOf) and all(find_contradiction(choice, signals) for choice in part.parts):
            return (part,)
        for other in parts[:index]:
            if excludes(other, part):
                return (other, part)
    return ()


def _parts(condition: Condition) -> Iterator[Condition]:
    if not isinstance(condition, AllOf):
        yield condition
        return
    for part in condition.parts:
        yield from _parts(part)


def _implies(strong: Compare, weak: Compare) -> bool:
    if strong.operator == weak.operator and _same(strong.operand, weak.operand):
        return True
    if weak.operator == "exists":
        # every other test is false where the value is missing
        return bool(weak.operand) and strong.operator != "exists"
    if (values := _values(strong)) is not None and _is_decisive(values, weak):
        return all(map(make_test(weak), values))
    weak_excluded, excluded = _values(weak, "ne", "not_in"), _values(strong, "ne", "not_in")
    if weak_excluded is not None and excluded is not None:
        return all(any(_same(value, other) for other in excluded) for value in weak_excluded)
    inner, outer = _span(strong), _span(weak)
    if inner is None or outer is None or isinstance(inner[0], str) is not isinstance(outer[0], str):
        return False
    above = inner[0] > outer[0] or (inner[0] == outer[0] and (outer[2] or not inner[2]))
    below = inner[1] < outer[1] or (inner[1] == outer[1] and (outer[3] or not inner[3]))
    return bool(above and below)


def _excludes(first: Compare, second: Compare) -> bool:
    for test, against in ((first, second), (second, first)):
        if test.operator == "exists":
            return not test.operand and (against.operator != "exists" or bool(against.operand))
        if (values := _values(test)) is not None and _is_decisive(values, against):
            return not any(map(make_test(against), values))
    return _are_disjoint(_span(first), _span(second))


def _out_of_range(test: Compare, signals: Mapping[str, SignalKind]) -> bool:
    """Return whether a test asks for a value that its field never has, such as a confidence of 95."""
    _kind, low, high = find_field(test.field, signals)
    if (values := _values(test)) is not None:
        return all(isinstance(value, (int, float)) and not low <= value <= high for value in values)
    return _are_disjoint(_span(test), (low, high, True, True))


def _values(test: Compare, single: str = "eq", several: str = "in") -> tuple[Any, ...] | None:
    """Return the values with which a field meets a test (or fails "ne" and "not_in"); None where there is no list."""
    if test.operator == single:
        return (test.operand,)
    return test.operand if test.operator == several and len(test.operand) <= _MAX_VALUES else None


def _is_decisive(values: tuple[Any, ...], test: Compare) -> bool:
    """Return whether a test gives one result for all forms of each value: a number may also come as text."""
    numbers = any(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    operands = test.operand if isinstance(test.operand, tuple) else (test.operand,)
    plain = test.operator not in ("matches", "contains", "exists") and not any(
        isinstance(value, str) for value in operands
    )
    return plain or not numbers


def _same(first: Any, second: Any) -> bool:
    """Return whether two operands are equal; 1 and true are not."""
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(map(_same, first, second))
    return bool(first == second) and isinstance(first, bool) is isinstance(second, bool)


def _span(test: Compare) -> _Span | None:
    if test.operator not in _ORDERED:
        return None
    operand, lowest = test.operand, "" if isinstance(test.operand, str) else -math.inf
    highest = "\U0010ffff" if isinstance(operand, str) else math.inf
    closed = test.operator.endswith("e")
    return (operand, highest, closed, True) if test.operator.startswith("g") else (lowest, operand, True, closed)


def _are_disjoint(first: _Span | None, second: _Span | None) -> bool:
    if first is None or second is None or isinstance(first[0], str) is not isinstance(second[0], str):
        return False
    low, high = (first, second) if (first[0], not first[2]) <= (second[0], not second[2]) else (second, first)
    return bool(low[1] < high[0] or (low[1] == high[0] and not (low[3] and high[2])))
