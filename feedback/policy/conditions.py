"""Routing: the first rule that a task meets, for one task by itself or for a whole table column by column.

A condition is total: every test says yes or no of every value, and says no of a value that is missing or of
another kind. `Not` turns that no into a yes; `exists` asks for the value itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in", "matches", "contains", "exists"]
Lookup: TypeAlias = Callable[[str], object]  # the value of a field; None where it is missing
Says: TypeAlias = Callable[[object], bool]
Check: TypeAlias = Callable[[Lookup], bool]

_LONGEST_NUMBER = 40  # characters; what is longer is a text that happens to be digits


@dataclass(frozen=True, slots=True)
class Compare:
    """One field held against one operand: a number, a text, a bool, a tuple of these, or for `matches` a callable."""

    field: str
    operator: Operator
    operand: Any


@dataclass(frozen=True, slots=True)
class AllOf:
    """True where all parts are; true without parts."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where one part or more is."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True where the part is not."""

    part: Condition


Condition: TypeAlias = Compare | AllOf | AnyOf | Not
ALWAYS = AllOf(())


class Table:
    """n tasks as columns; each column is asked for once, when a rule first names it.

    `column` gives the n values of a field, None where missing: a list of anything, or an array of numbers.
    """

    def __init__(self, n: int, column: Callable[[str], Sequence[Any] | NDArray[Any]]) -> None:
        self._n = n
        self._column = column
        self._values: dict[str, list[Any]] = {}
        self._numbers: dict[str, Floats] = {}
        self._codes: dict[str, tuple[Ints, list[Any]]] = {}
        self._tested: dict[tuple[str, str, Any], Bools] = {}

    def __len__(self) -> int:
        return self._n

    def values(self, field: str) -> list[Any]:
        """(n,) the values of a field as Python objects, None where missing."""
        if field not in self._values:
            column = self._column(field)
            self._values[field] = column.tolist() if isinstance(column, np.ndarray) else list(column)
        return self._values[field]

    def numbers(self, field: str) -> Floats:
        """(n,) the values of a field that are numbers, NaN for the others."""
        if field not in self._numbers:
            read = (number(value) for value in self.values(field))
            self._numbers[field] = np.fromiter(
                (math.nan if value is None else value for value in read), dtype=np.float64, count=self._n
            )
        return self._numbers[field]

    def met(self, test: Compare) -> Bools:
        """(n,) where a test says yes; each different value is looked at once."""
        key = (test.field, test.operator, _key(test.operand))
        if key not in self._tested:
            self._tested[key] = self._met(test)
        return self._tested[key]

    def _met(self, test: Compare) -> Bools:
        if test.operator in _ORDER and not isinstance(test.operand, str):
            met: Bools = _ORDER[test.operator](self.numbers(test.field), float(test.operand))
            return met
        codes, kinds = self._coded(test.field)
        says = tester(test)
        found = np.fromiter(map(says, kinds), dtype=bool, count=len(kinds))
        return found[codes] if len(kinds) else np.zeros(self._n, dtype=bool)

    def _coded(self, field: str) -> tuple[Ints, list[Any]]:
        """(n,) codes and the different values that they stand for; 1, 1.0, True and "1" are four values."""
        if field not in self._codes:
            values = self.values(field)
            try:
                known: dict[Any, int] = {}
                coded = [known.setdefault((value.__class__, value), len(known)) for value in values]
                self._codes[field] = np.array(coded, dtype=np.int64), [value for _, value in known]
            except TypeError:  # lists cannot be told apart by hash: every row is its own value
                self._codes[field] = np.arange(self._n), values
        return self._codes[field]


def first_match(rules: Sequence[Condition], table: Table) -> Ints:
    """(n,) the place of the first rule that each task meets; -1 where it meets none.

    >>> table = Table(3, {"amount": [10, 6000, None]}.__getitem__)
    >>> first_match([Compare("amount", "gte", 5000), ALWAYS], table)
    array([1, 0, 1])
    """
    found = np.full(len(table), -1, dtype=np.int64)
    for place, rule in enumerate(rules):
        found[(found < 0) & met(rule, table)] = place
    return found


def met(condition: Condition, table: Table) -> Bools:
    """(n,) where a condition holds."""
    if isinstance(condition, Compare):
        return table.met(condition)
    if isinstance(condition, Not):
        return ~met(condition.part, table)
    if isinstance(condition, AllOf):
        every = np.ones(len(table), dtype=bool)
        for part in condition.parts:
            every &= met(part, table)
        return every
    some = np.zeros(len(table), dtype=bool)
    for part in condition.parts:
        some |= met(part, table)
    return some


def compiled(condition: Condition) -> Check:
    """Turn a condition into a closure over one task: no parser, no eval, the same answer as `met`.

    >>> compiled(Not(Compare("label", "in", ("spam", "scam"))))({"label": "ham"}.get)
    True
    """
    if isinstance(condition, Compare):
        field, says = condition.field, tester(condition)
        return lambda get: says(get(field))
    if isinstance(condition, Not):
        part = compiled(condition.part)
        return lambda get: not part(get)
    parts = [compiled(one) for one in condition.parts]
    if isinstance(condition, AllOf):
        return lambda get: all(one(get) for one in parts)
    return lambda get: any(one(get) for one in parts)


def fields_of(condition: Condition) -> frozenset[str]:
    """Name every field that a condition looks at."""
    if isinstance(condition, Compare):
        return frozenset({condition.field})
    parts = (condition.part,) if isinstance(condition, Not) else condition.parts
    return frozenset[str]().union(*map(fields_of, parts))


def tester(test: Compare) -> Says:
    """Give the closure of one test over one value."""
    return _TESTERS[test.operator](test.operand)


def number(value: object) -> float | None:
    """Read a finite number, also one that was imported as text; None for anything else, bools included.

    >>> number(3), number("5000.50"), number("1e3"), number("5,000"), number(True), number("nan")
    (3.0, 5000.5, 1000.0, None, None, None)
    """
    if isinstance(value, str):
        if not 0 < len(value) <= _LONGEST_NUMBER or "_" in value:
            return None
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return read if math.isfinite(read) else None


def _equal(operand: Any) -> Says:
    if isinstance(operand, bool):
        return lambda value: value is operand
    if isinstance(operand, str):
        return lambda value: isinstance(value, str) and value == operand
    wanted = float(operand)
    return lambda value: number(value) == wanted


def _differs(operand: Any) -> Says:
    equal = _equal(operand)
    return lambda value: not _missing(value) and not equal(value)


def _among(operand: tuple[Any, ...]) -> Says:
    texts = frozenset(one for one in operand if isinstance(one, str))
    others = [_equal(one) for one in operand if not isinstance(one, str)]
    return lambda value: (isinstance(value, str) and value in texts) or any(equal(value) for equal in others)


def _not_among(operand: tuple[Any, ...]) -> Says:
    among = _among(operand)
    return lambda value: not _missing(value) and not among(value)


def _ordered(compare: Callable[[Any, Any], Any]) -> Callable[[Any], Says]:
    def make(operand: Any) -> Says:
        if isinstance(operand, str):  # dates as ISO texts, versions, codes
            return lambda value: isinstance(value, str) and bool(compare(value, operand))
        wanted = float(operand)

        def says(value: object) -> bool:
            read = number(value)
            return read is not None and bool(compare(read, wanted))

        return says

    return make


def _contains(operand: Any) -> Says:
    equal = _equal(operand)

    def says(value: object) -> bool:
        if isinstance(value, str):
            return isinstance(operand, str) and operand in value
        return isinstance(value, (list, tuple)) and any(map(equal, value))

    return says


def _matches(operand: Callable[[str], bool]) -> Says:
    return lambda value: isinstance(value, str) and operand(value)


def _exists(operand: bool) -> Says:  # noqa: FBT001  # the operand of a test
    return lambda value: _missing(value) is not operand


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _key(operand: Any) -> Any:
    """1, 1.0 and True are equal as keys, and mean different tests."""
    if isinstance(operand, tuple):
        return tuple((one.__class__, one) for one in operand)
    return (operand.__class__, operand)


_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "gt": lambda value, operand: value > operand,
    "gte": lambda value, operand: value >= operand,
    "lt": lambda value, operand: value < operand,
    "lte": lambda value, operand: value <= operand,
}
_TESTERS: Mapping[Operator, Callable[[Any], Says]] = {
    "eq": _equal,
    "ne": _differs,
    "gt": _ordered(_ORDER["gt"]),
    "gte": _ordered(_ORDER["gte"]),
    "lt": _ordered(_ORDER["lt"]),
    "lte": _ordered(_ORDER["lte"]),
    "in": _among,
    "not_in": _not_among,
    "matches": _matches,
    "contains": _contains,
    "exists": _exists,
}
