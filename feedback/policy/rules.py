"""[[routing]] of hitl.toml: which fields a rule may test, when it applies, and what happens to a task then."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BeforeValidator, Field

from feedback.policy.conditions import ALWAYS, AllOf, AnyOf, Compare, Condition, Not, parse_number
from feedback.policy.field_types import Duration, Name, Names, Pattern, Section, parse_duration_s, percent_hint
from feedback.policy.reviewer_questions import SignalKind

Priority = Literal["urgent", "high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("urgent", "high", "normal", "low")
AUTO, HOLD = "auto", "hold"  # values of `to` that are not tiers

Kind = Literal["number", "text", "flag", "duration", "calendar", "any"]


class RuleField(NamedTuple):
    """The type and range of a field that rules may test."""

    kind: Kind
    low: float = -math.inf
    high: float = math.inf


FIELDS: Mapping[str, RuleField] = {  # docs/policy.md says what each means
    "model.confidence": RuleField("number", 0.0, 1.0),
    "model.label": RuleField("text"),
    "model.margin": RuleField("number", 0.0, 1.0),
    "model.disagreement": RuleField("number", 0.0, 1.0),
    "model.uncertainty_rank": RuleField("number", 0.0, 1.0),
    "history.votes": RuleField("number", 0.0),
    "history.support": RuleField("number", 0.0, 1.0),
    "history.skips": RuleField("number", 0.0),
    "time.age": RuleField("duration", 0.0),
    "time.date": RuleField("text"),
    "time.within": RuleField("calendar"),
}
UNAVAILABLE_FIELDS: Mapping[str, str] = {
    "model.set_size": "conformal sets do not exist yet",
    "model.conformal_set_size": "conformal sets do not exist yet",
    "model.ood_p": "out-of-distribution p-values do not exist yet",
}
_OPEN_SOURCES = ("data", "signal")  # their field names come from task data and from the senders of signals

NO_CALENDARS = "the policy has no calendar; add [calendars.office], for example"
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
        return _Parser(signals, calendars).parse_condition(self.when) if self.when else ALWAYS


def find_field(path: str, signals: Mapping[str, SignalKind]) -> RuleField:
    """Return the field of that path; ValueError names the nearest field where there is none.

    >>> find_field("data.customer.standing", {}).kind
    'any'
    >>> find_field("model.confidnce", {})
    Traceback (most recent call last):
    ValueError: model.confidnce is no field that a rule can test; did you mean model.confidence?
    """
    if path in UNAVAILABLE_FIELDS:
        raise ValueError(f"{path} cannot be used yet: {UNAVAILABLE_FIELDS[path]}")
    source, _, rest = path.partition(".")
    if source == "data" and rest:
        return RuleField("any")
    if source == "signal" and rest:
        return _signal_field(rest, signals)
    if path not in FIELDS:
        near = get_close_matches(path, [*FIELDS, *_OPEN_SOURCES], n=1)
        wanted = f"did you mean {near[0]}?" if near else f"wanted data.*, signal.* or one of {', '.join(FIELDS)}"
        raise ValueError(f"{path} is no field that a rule can test; {wanted}")
    return FIELDS[path]


def _signal_field(rest: str, signals: Mapping[str, SignalKind]) -> RuleField:
    """Return the field signal.NAME (newest value), signal.NAME.count or signal.NAME.age (since the newest)."""
    name, _, part = rest.partition(".")
    if name not in signals:
        near = get_close_matches(name, list(signals), n=1)
        suggestion = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"signal.{name} is not declared in [signals]{suggestion}")
    if part:
        parts = {"count": RuleField("number", 0.0), "age": RuleField("duration", 0.0)}
        if part not in parts:
            wanted = f"signal.{name}, signal.{name}.count or signal.{name}.age"
            raise ValueError(f"signal.{rest} is no field; wanted {wanted}")
        return parts[part]
    signal = signals[name]
    kind: Kind = signal.kind if signal.kind in ("number", "flag") else "text"
    low, high = -math.inf if signal.low is None else signal.low, math.inf if signal.high is None else signal.high
    return RuleField(kind, low, high)


@dataclass(frozen=True, slots=True)
class _Parser:
    """Parses `when` tables with the signals and calendars of one policy."""

    signals: Mapping[str, SignalKind]
    calendars: Mapping[str, object]

    def parse_condition(self, when: Mapping[str, Any], depth: int = 0) -> Condition:
        """Parse one table, whose keys must all be true: all, any, not, or a field with its tests."""
        if depth > _MAX_DEPTH:
            raise ValueError(f"conditions are nested more than {_MAX_DEPTH} deep")
        parts: list[Condition] = []
        for key, value in when.items():
            if key in ("all", "any"):
                if not isinstance(value, list) or not value or not all(isinstance(item, Mapping) for item in value):
                    raise ValueError(f"{key} is {value!r:.60}; wanted a list of conditions")
                inner = tuple(self.parse_condition(item, depth + 1) for item in value)
                parts.append(AllOf(inner) if key == "all" else AnyOf(inner))
            elif key == "not":
                if not isinstance(value, Mapping):
                    raise ValueError(f"not is {value!r:.60}; wanted one condition")
                parts.append(Not(self.parse_condition(value, depth + 1)))
            else:
                parts += self._parse_field(key, value)
        if not parts:
            raise ValueError("the condition is empty; the rule for all other tasks has no `when`")
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _parse_field(self, path: str, value: Any) -> list[Condition]:
        """Parse the tests of one field: data.amount.gte = 5 or data.amount = {gte = 5}; a plain value means eq."""
        if not isinstance(value, Mapping):
            return [self._parse_test(path, "eq", value)]
        if not value:
            raise ValueError(f"{path} has no test; wanted a test such as {path}.gte = 5")
        if all(key in OPERATORS for key in value) and not any(isinstance(item, Mapping) for item in value.values()):
            return [self._parse_test(path, operator, operand) for operator, operand in value.items()]
        return [test for key, inner in value.items() for test in self._parse_field(f"{path}.{key}", inner)]

    def _parse_test(self, path: str, operator: str, operand: Any) -> Condition:
        field = self._field(path, operator)
        kind, where = field.kind, f"{path}.{operator}"
        if operator == "exists":
            return Compare(path, "exists", _of(where, operand, bool, "true or false"))
        if kind == "calendar":
            return self._parse_within(path, operator, operand)
        if operator in ("matches", "contains") and kind not in ("text", "any"):
            raise ValueError(f"{where}: a {kind} cannot be tested with that")
        if operator == "matches":
            return Compare(path, "matches", Pattern(_of(where, operand, str, "a pattern")))
        if operator in ("in", "not_in"):
            return Compare(path, operator, tuple(_operand(where, field, item) for item in _list(where, operand)))  # type: ignore[arg-type]
        if isinstance(operand, list):
            raise ValueError(f"{where} is a list; wanted {path}.in = {operand!r:.60}")  # noqa: TRY004  # pydantic shows ValueErrors
        parsed = _operand(where, field, operand)
        if operator in _ORDERED and isinstance(parsed, bool):
            raise ValueError(f"{where} is {operand!r:.60}; only numbers, durations and dates have an order")
        if operator in _ORDERED and kind == "text" and path != "time.date":
            raise ValueError(f"{where}: {path} is a text and has no order")
        return Compare(path, operator, parsed)  # type: ignore[arg-type]  # one of OPERATORS, see `_parse_field`

    def _field(self, path: str, operator: str) -> RuleField:
        try:
            return find_field(path, self.signals)
        except ValueError:
            field, _, last = path.rpartition(".")
            if operator == "eq" and (field in FIELDS or field.removeprefix("signal.") in self.signals):
                raise ValueError(f"{path}: {last!r} is no test; wanted {', '.join(OPERATORS)}") from None
            raise

    def _parse_within(self, path: str, operator: str, operand: Any) -> Condition:
        """Parse a test of time.within, whose value is the list of calendars that are open now."""
        names = _list(f"{path}.in", operand) if operator in ("in", "not_in") else [operand]
        for name in names:
            if not isinstance(name, str) or name not in self.calendars:
                known = f"wanted a calendar: {', '.join(self.calendars)}" if self.calendars else f"{NO_CALENDARS}"
                raise ValueError(f"{path} is {name!r:.60}; {known}")
        now = AnyOf(tuple(Compare(path, "contains", name) for name in names))
        if operator not in ("eq", "in", "ne", "not_in"):
            raise ValueError(f"{path}.{operator}: a calendar is tested with eq, ne, in or not_in")
        return now if operator in ("eq", "in") else Not(now)


def _list(where: str, operand: Any) -> list[Any]:
    if not isinstance(operand, list) or not 0 < len(operand) <= _MAX_LIST_LENGTH:
        raise ValueError(f"{where} is {operand!r:.60}; wanted a list of values")
    return operand


def _operand(where: str, field: RuleField, value: Any) -> Any:
    kind = field.kind
    if isinstance(value, (dict, list)) or value is None:
        raise ValueError(f"{where} is {value!r:.60}; wanted a number, a text, true or false")
    if kind == "duration":
        return parse_duration_s(_of(where, value, str, 'a duration such as "4h"'))
    if kind == "text":
        return _of(where, value, str, "a text")
    if kind == "flag":
        return _of(where, value, bool, "true or false")
    if kind == "number" and isinstance(value, (bool, str)):
        raise ValueError(f"{where} is {value!r:.60}; wanted a number")
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number and (parse_number(value) is None or abs(value) > _MAX_NUMBER):
        raise ValueError(f"{where} is {value!r:.60}; wanted a number up to 2^53")
    if is_number and not field.low <= value <= field.high:
        raise ValueError(f"{where} is {value!r:.60}; wanted {_range_text(field)}{percent_hint(value, field.high)}")
    return value


def _range_text(field: RuleField) -> str:
    if field.high == math.inf:
        return f"a number of {field.low:g} or more"
    return (
        f"a number up to {field.high:g}" if field.low == -math.inf else f"a number from {field.low:g} to {field.high:g}"
    )


def _of(where: str, value: Any, kind: type, wanted: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{where} is {value!r:.60}; wanted {wanted}")  # noqa: TRY004  # pydantic shows ValueErrors
    return value
