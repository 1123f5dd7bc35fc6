"""[[routing]] of hitl.toml: when a rule applies, and what happens to a task then."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from feedback.policy import rule_fields
from feedback.policy.conditions import ALWAYS, AllOf, AnyOf, Compare, Condition, Not, parse_number
from feedback.policy.field_types import Duration, Name, Names, Section, parse_duration_s
from feedback.policy.linear_regex import Pattern
from feedback.policy.reviewer_questions import SignalKind

Priority = Literal["urgent", "high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("urgent", "high", "normal", "low")
AUTO, HOLD = "auto", "hold"  # values of `to` that are no tier

_MAX_DEPTH = 8  # conditions within conditions
_ORDERED = ("gt", "gte", "lt", "lte")
OPERATORS = ("eq", "ne", *_ORDERED, "in", "not_in", "matches", "contains", "exists")
_MAX_LIST_LENGTH = 10_000
_MAX_NUMBER = 2**53  # up to it a float holds every whole number


def _plain(value: Any, depth: int = 0) -> Any:
    """Return `when` with TOML dates as ISO texts, so that it is JSON; refuse extreme nesting."""
    if depth > 3 * _MAX_DEPTH:
        raise ValueError("a condition is nested too deep")
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    return value.isoformat() if isinstance(value, (date, datetime)) else value


When = Annotated[dict[str, Any], BeforeValidator(_plain)]


class Rule(Section):
    """One rule. The first rule whose `when` is true decides about a task; the last rule has no `when`."""

    id: Name
    when: When = Field(default_factory=dict)
    to: Name  # a tier, "auto" or "hold"
    reason: str = ""  # in plain words, for the people affected
    tier: str = ""  # for "auto": which people answer while it is not allowed; "": the first tier
    priority: Priority = "normal"
    queue: Name = "default"  # reports and forecasts group by this name
    overlap: Annotated[int, Field(ge=1, le=20)] | None = None  # votes per task in the first tier
    hold: Duration = ""  # time after the import during which nobody sees the task
    skills: Names = ()  # that a person needs to answer

    @property
    def hold_s(self) -> float:
        """Return the seconds after the import until people may see the task."""
        return parse_duration_s(self.hold)

    def condition(self, signals: Mapping[str, SignalKind], calendars: Mapping[str, object]) -> Condition:
        """Parse `when`; ValueError names the part that cannot be parsed."""
        return _parse_condition(self.when, signals, calendars, 0) if self.when else ALWAYS


def _parse_condition(
    when: Mapping[str, Any], signals: Mapping[str, SignalKind], calendars: Mapping[str, object], depth: int
) -> Condition:
    """Parse one table, whose keys must all be true: all, any, not, or a field with its tests."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"conditions are nested more than {_MAX_DEPTH} deep")
    parts: list[Condition] = []
    for key, value in when.items():
        if key in ("all", "any"):
            if not isinstance(value, list) or not value or not all(isinstance(item, Mapping) for item in value):
                raise ValueError(f"{key} is {value!r:.60}; wanted a list of conditions")
            inner = tuple(_parse_condition(item, signals, calendars, depth + 1) for item in value)
            parts.append(AllOf(inner) if key == "all" else AnyOf(inner))
        elif key == "not":
            if not isinstance(value, Mapping):
                raise ValueError(f"not is {value!r:.60}; wanted one condition")
            parts.append(Not(_parse_condition(value, signals, calendars, depth + 1)))
        else:
            parts += _parse_field(key, value, signals, calendars)
    if not parts:
        raise ValueError("the condition is empty; the rule for all other tasks has no `when`")
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _parse_field(
    path: str, value: Any, signals: Mapping[str, SignalKind], calendars: Mapping[str, object]
) -> list[Condition]:
    """Parse the tests of one field: data.amount.gte = 5 or data.amount = {gte = 5}; a plain value means eq."""
    if not isinstance(value, Mapping):
        return [_parse_test(path, "eq", value, signals, calendars)]
    if not value:
        raise ValueError(f"{path} has no test; wanted a test such as {path}.gte = 5")
    is_tests = all(key in OPERATORS for key in value) and not any(isinstance(item, Mapping) for item in value.values())
    if is_tests:
        return [_parse_test(path, operator, operand, signals, calendars) for operator, operand in value.items()]
    found: list[Condition] = []
    for key, inner in value.items():
        found += _parse_field(f"{path}.{key}", inner, signals, calendars)
    return found


def _parse_test(
    path: str, operator: str, operand: Any, signals: Mapping[str, SignalKind], calendars: Mapping[str, object]
) -> Condition:
    kind = _kind(path, operator, signals)
    where = f"{path}.{operator}"
    if operator == "exists":
        return Compare(path, "exists", _of(where, operand, bool, "true or false"))
    if kind == "calendar":
        return _within(path, operator, operand, calendars)
    if operator == "matches":
        _allow(where, kind, "text", "any")
        return Compare(path, "matches", Pattern(_of(where, operand, str, "a pattern")))
    if operator in ("in", "not_in"):
        return Compare(path, operator, tuple(_operand(where, kind, item) for item in _list(where, operand)))  # type: ignore[arg-type]
    if isinstance(operand, list):
        raise ValueError(f"{where} is a list; wanted {path}.in = {operand!r:.60}")  # noqa: TRY004  # pydantic shows ValueErrors
    if operator == "contains":
        _allow(where, kind, "text", "any")
    parsed = _operand(where, kind, operand)
    if operator in _ORDERED and isinstance(parsed, bool):
        raise ValueError(f"{where} is {operand!r:.60}; only numbers, durations and dates have an order")
    if operator in _ORDERED and kind == "text" and path != "time.date":
        raise ValueError(f"{where}: {path} is a text and has no order")
    return Compare(path, operator, parsed)  # type: ignore[arg-type]  # one of OPERATORS, see `_parse_field`


def _kind(path: str, operator: str, signals: Mapping[str, SignalKind]) -> rule_fields.Kind:
    try:
        return rule_fields.find_field(path, signals).kind
    except ValueError:
        field, _, last = path.rpartition(".")
        if operator == "eq" and (field in rule_fields.FIELDS or field.removeprefix("signal.") in signals):
            raise ValueError(f"{path}: {last!r} is no test; wanted {', '.join(OPERATORS)}") from None
        raise


def _within(path: str, operator: str, operand: Any, calendars: Mapping[str, object]) -> Condition:
    """Parse a test of time.within, whose value is the list of calendars that are open now."""
    names = _list(f"{path}.in", operand) if operator in ("in", "not_in") else [operand]
    for name in names:
        if not isinstance(name, str) or name not in calendars:
            raise ValueError(f"{path} is {name!r:.60}; wanted a calendar: {', '.join(calendars) or 'there are none'}")
    now = AnyOf(tuple(Compare(path, "contains", name) for name in names))
    if operator in ("eq", "in"):
        return now
    if operator in ("ne", "not_in"):
        return Not(now)
    raise ValueError(f"{path}.{operator}: a calendar is tested with eq, ne, in or not_in")


def _list(where: str, operand: Any) -> list[Any]:
    if not isinstance(operand, list) or not 0 < len(operand) <= _MAX_LIST_LENGTH:
        raise ValueError(f"{where} is {operand!r:.60}; wanted a list of values")
    return operand


def _operand(where: str, kind: rule_fields.Kind, value: Any) -> Any:
    if isinstance(value, (dict, list)) or value is None:
        raise ValueError(f"{where} is {value!r:.60}; wanted a number, a text, true or false")
    if kind == "duration":
        return parse_duration_s(_of(where, value, str, 'a duration such as "4h"'))
    if kind == "number" and isinstance(value, (bool, str)):
        raise ValueError(f"{where} is {value!r:.60}; wanted a number")
    if kind == "text" and not isinstance(value, str):
        raise ValueError(f"{where} is {value!r:.60}; wanted a text")
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and (parse_number(value) is None or abs(value) > _MAX_NUMBER)
    ):
        raise ValueError(f"{where} is {value!r:.60}; wanted a number up to 2^53")
    return value


def _of(where: str, value: Any, kind: type, wanted: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{where} is {value!r:.60}; wanted {wanted}")  # noqa: TRY004  # pydantic shows ValueErrors
    return value


def _allow(where: str, kind: str, *kinds: str) -> None:
    if kind not in kinds:
        raise ValueError(f"{where}: a {kind} cannot be tested with that")
