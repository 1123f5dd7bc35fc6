"""Rule conditions: whether a task meets one, for a single task or for a whole table column by column.

Every test is true or false for every value. It is false where the value is missing or has another type, so `Not` is
true there; `exists` tests for the value itself.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml_backend.clean_text import clean_text

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "not_in", "matches", "contains", "exists"]
Lookup: TypeAlias = Callable[[str], object]  # the value of a field; None where it is missing
ValueTest: TypeAlias = Callable[[object], bool]  # of one value

_MAX_NUMBER_LENGTH = 40  # characters; a longer text of digits is an identifier, not a number


@dataclass(frozen=True, slots=True)
class Compare:
    """One field compared with one operand: a number, text, bool or tuple of these; for `matches` a callable."""

    field: str
    operator: Operator
    operand: Any


@dataclass(frozen=True, slots=True)
class AllOf:
    """True where all parts are true; true without parts."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True where at least one part is true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True where the part is false."""

    part: Condition


Condition: TypeAlias = Compare | AllOf | AnyOf | Not
ALWAYS = AllOf(())


class Table:
    """n tasks as columns; each column is read once, when a rule first needs it.

    `column` returns the n values of a field, None where missing: a list, or an array of numbers.
    """

    def __init__(self, n: int, column: Callable[[str], Sequence[Any] | NDArray[Any]]) -> None:
        self._n = n
        self._column = column
        self._values: dict[str, list[Any]] = {}
        self._numbers: dict[str, Floats] = {}
        self._codes: dict[str, tuple[Ints, list[Any]]] = {}
        self._results: dict[tuple[str, str, Any], Bools] = {}

    def __len__(self) -> int:
        return self._n

    def values(self, field: str) -> list[Any]:
        """Return the values of a field as Python objects, shape (n,); None where missing."""
        if field not in self._values:
            column = self._column(field)
            self._values[field] = column.tolist() if isinstance(column, np.ndarray) else list(column)
        return self._values[field]

    def numbers(self, field: str) -> Floats:
        """Return the values of a field as numbers, shape (n,); NaN where a value is not a number."""
        if field not in self._numbers:
            numbers = (parse_number(value) for value in self.values(field))
            self._numbers[field] = np.fromiter(
                (math.nan if value is None else value for value in numbers), dtype=np.float64, count=self._n
            )
        return self._numbers[field]

    def evaluate(self, test: Compare) -> Bools:
        """Return where a test is true, shape (n,); each distinct value is tested once."""
        key = (test.field, test.operator, _key(test.operand))
        if key not in self._results:
            self._results[key] = self._evaluate(test)
        return self._results[key]

    def _evaluate(self, test: Compare) -> Bools:
        if test.operator in _ORDER and not isinstance(test.operand, str):
            results: Bools = _ORDER[test.operator](self.numbers(test.field), float(test.operand))
            return results
        codes, distinct = self._encode(test.field)
        found = np.fromiter(map(make_test(test), distinct), dtype=bool, count=len(distinct))
        return found[codes] if len(distinct) else np.zeros(self._n, dtype=bool)

    def _encode(self, field: str) -> tuple[Ints, list[Any]]:
        """Return codes, shape (n,), and the distinct values that they index; 1, 1.0, True and "1" are four values."""
        if field not in self._codes:
            values = self.values(field)
            try:
                index: dict[Any, int] = {}
                codes = [index.setdefault((value.__class__, value), len(index)) for value in values]
                self._codes[field] = np.array(codes, dtype=np.int64), [value for _, value in index]
            except TypeError:  # a list has no hash: every row counts as a distinct value
                self._codes[field] = np.arange(self._n), values
        return self._codes[field]


def first_match(rules: Sequence[Condition], table: Table) -> Ints:
    """Return the index of the first rule that each task meets, shape (n,); -1 where it meets none.

    >>> table = Table(3, {"amount": [10, 6000, None]}.__getitem__)
    >>> first_match([Compare("amount", "gte", 5000), ALWAYS], table)
    array([1, 0, 1])
    """
    found = np.full(len(table), -1, dtype=np.int64)
    for place, rule in enumerate(rules):
        found[(found < 0) & evaluate(rule, table)] = place
    return found


def evaluate(condition: Condition, table: Table) -> Bools:
    """Return where a condition is true, shape (n,)."""
    if isinstance(condition, Compare):
        return table.evaluate(condition)
    if isinstance(condition, Not):
        return ~evaluate(condition.part, table)
    is_all = isinstance(condition, AllOf)
    combine = np.logical_and if is_all else np.logical_or
    found = np.full(len(table), is_all)
    for part in condition.parts:
        combine(found, evaluate(part, table), out=found)
    return found


def meets(condition: Condition, get: Lookup) -> bool:
    """Return whether one task meets a condition, with the same result as `evaluate`; `get` returns a field's value.

    >>> meets(Not(Compare("label", "in", ("spam", "scam"))), {"label": "ham"}.get)
    True
    """
    if isinstance(condition, Compare):
        return make_test(condition)(get(condition.field))
    if isinstance(condition, Not):
        return not meets(condition.part, get)
    combine = all if isinstance(condition, AllOf) else any
    return combine(meets(part, get) for part in condition.parts)


def list_parts(condition: Condition) -> tuple[Condition, ...]:
    """Return the conditions that a condition directly consists of; () for a test."""
    if isinstance(condition, (AllOf, AnyOf)):
        return condition.parts
    return (condition.part,) if isinstance(condition, Not) else ()


def list_tests(condition: Condition) -> list[Compare]:
    """Return every test in a condition, in order."""
    if isinstance(condition, Compare):
        return [condition]
    return [test for part in list_parts(condition) for test in list_tests(part)]


def condition_fields(condition: Condition) -> frozenset[str]:
    """Return every field that a condition reads."""
    return frozenset(test.field for test in list_tests(condition))


def make_test(test: Compare) -> ValueTest:
    """Return a function that applies the test to one value."""
    return _TESTS[test.operator](test.operand)


def parse_number(value: object) -> float | None:
    """Return a finite number, also from text; None for anything else, bools included.

    >>> [parse_number(value) for value in (3, "5000.50", "1e3", "5,000", True, "nan")]
    [3.0, 5000.5, 1000.0, None, None, None]
    """
    if isinstance(value, str):
        if not 0 < len(value) <= _MAX_NUMBER_LENGTH or "_" in value:
            return None
    elif isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        parsed = float(value)
    except (ValueError, OverflowError):
        return None
    return parsed if math.isfinite(parsed) else None


def _equal(operand: Any) -> ValueTest:
    if isinstance(operand, bool):
        return lambda value: value is operand
    if isinstance(operand, str):
        return _in((operand,))
    expected = float(operand)
    return lambda value: parse_number(value) == expected


def _not_equal(operand: Any) -> ValueTest:
    equal = _equal(operand)
    return lambda value: not _missing(value) and not equal(value)


def _in(operand: tuple[Any, ...]) -> ValueTest:
    texts = frozenset(clean_text(item) for item in operand if isinstance(item, str))
    others = [_equal(item) for item in operand if not isinstance(item, str)]
    return lambda value: (
        (isinstance(value, str) and clean_text(value) in texts) or any(equal(value) for equal in others)
    )


def _not_in(operand: tuple[Any, ...]) -> ValueTest:
    is_in = _in(operand)
    return lambda value: not _missing(value) and not is_in(value)


def _ordered(compare: Callable[[Any, Any], Any]) -> Callable[[Any], ValueTest]:
    def make(operand: Any) -> ValueTest:
        if isinstance(operand, str):  # dates as ISO texts, versions, codes
            return lambda value: isinstance(value, str) and bool(compare(value, operand))
        limit = float(operand)

        def test(value: object) -> bool:
            parsed = parse_number(value)
            return parsed is not None and bool(compare(parsed, limit))

        return test

    return make


def _contains(operand: Any) -> ValueTest:
    equal = _equal(operand)

    def test(value: object) -> bool:
        if isinstance(value, str):
            return isinstance(operand, str) and operand in value
        return isinstance(value, (list, tuple)) and any(map(equal, value))

    return test


def _matches(operand: Callable[[str], bool]) -> ValueTest:
    return lambda value: isinstance(value, str) and operand(value)


def _exists(operand: bool) -> ValueTest:  # noqa: FBT001  # the operand of a test
    return lambda value: _missing(value) is not operand


def _missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _key(operand: Any) -> Any:
    """Return a cache key of an operand: 1, 1.0 and True are equal in Python, and are different tests."""
    if isinstance(operand, tuple):
        return tuple((item.__class__, item) for item in operand)
    return (operand.__class__, operand)


_ORDER: Mapping[str, Callable[[Any, Any], Any]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_TESTS: Mapping[Operator, Callable[[Any], ValueTest]] = {
    "eq": _equal,
    "ne": _not_equal,
    "gt": _ordered(operator.gt),
    "gte": _ordered(operator.ge),
    "lt": _ordered(operator.lt),
    "lte": _ordered(operator.le),
    "in": _in,
    "not_in": _not_in,
    "matches": _matches,
    "contains": _contains,
    "exists": _exists,
}
