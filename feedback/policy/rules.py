"""One rule of the routing: when it applies, and what happens to a task then."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from feedback.policy import rule_fields
from feedback.policy.conditions import ALWAYS, AllOf, AnyOf, Compare, Condition, Not, number
from feedback.policy.linear_regex import Pattern
from feedback.policy.reviewer_questions import SignalKind
from feedback.policy.sections import Duration, Name, Names, Section, seconds

Priority = Literal["urgent", "high", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("urgent", "high", "normal", "low")
AUTO, HOLD = "auto", "hold"  # what `to` may say beside a tier

_DEEPEST = 8  # conditions within conditions; deeper than that nobody reads aloud
_ORDERED = ("gt", "gte", "lt", "lte")
OPERATORS = ("eq", "ne", *_ORDERED, "in", "not_in", "matches", "contains", "exists")
_LONGEST_LIST = 10_000
_BIGGEST = 2**53


def _plain(value: Any, depth: int = 0) -> Any:
    """TOML's dates become ISO texts, so that a policy is JSON; deeper than any honest rule is refused."""
    if depth > 3 * _DEEPEST:
        raise ValueError("a condition is nested too deep to be read")
    if isinstance(value, Mapping):
        return {str(key): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, depth + 1) for item in value]
    return value.isoformat() if isinstance(value, (date, datetime)) else value


When = Annotated[dict[str, Any], BeforeValidator(_plain)]


class Rule(Section):
    """The first rule whose `when` holds decides about a task; the last one has no `when`."""

    id: Name
    when: When = Field(default_factory=dict)
    to: Name  # a tier, "auto" or "hold"
    reason: str = ""  # in plain words, for whoever is affected
    tier: str = ""  # for "auto": which people look while it cannot be; "": the first tier
    priority: Priority = "normal"
    queue: Name = "default"  # a name that reports and forecasts group by
    overlap: Annotated[int, Field(ge=1, le=20)] | None = None  # votes that the task wants in the first tier
    hold: Duration = ""  # so long after its import a task is kept back before anybody sees it
    skills: Names = ()  # that whoever answers needs

    @property
    def hold_s(self) -> float:
        """Seconds after the import until somebody may see the task."""
        return seconds(self.hold)

    def condition(self, signals: Mapping[str, SignalKind], calendars: Mapping[str, object]) -> Condition:
        """Read `when`; ValueError says which part cannot be read."""
        return _read(self.when, signals, calendars, 0) if self.when else ALWAYS


def _read(
    when: Mapping[str, Any], signals: Mapping[str, SignalKind], calendars: Mapping[str, object], depth: int
) -> Condition:
    """Every key of a table must hold: all, any, not, or a field with its tests."""
    if depth > _DEEPEST:
        raise ValueError(f"conditions stand within conditions more than {_DEEPEST} deep")
    parts: list[Condition] = []
    for key, value in when.items():
        if key in ("all", "any"):
            if not isinstance(value, list) or not value or not all(isinstance(one, Mapping) for one in value):
                raise ValueError(f"{key} holds {value!r:.60}; wanted a list of conditions")
            read = tuple(_read(one, signals, calendars, depth + 1) for one in value)
            parts.append(AllOf(read) if key == "all" else AnyOf(read))
        elif key == "not":
            if not isinstance(value, Mapping):
                raise ValueError(f"not holds {value!r:.60}; wanted one condition")
            parts.append(Not(_read(value, signals, calendars, depth + 1)))
        else:
            parts += _tests(key, value, signals, calendars)
    if not parts:
        raise ValueError("an empty condition; leave `when` out of the rule that is for all others")
    return parts[0] if len(parts) == 1 else AllOf(tuple(parts))


def _tests(
    path: str, value: Any, signals: Mapping[str, SignalKind], calendars: Mapping[str, object]
) -> list[Condition]:
    """data.amount.gte = 5 and "data.amount" = {gte = 5} are the same; a plain value is short for eq."""
    if not isinstance(value, Mapping):
        return [_test(path, "eq", value, signals, calendars)]
    if not value:
        raise ValueError(f"{path} is held against nothing; wanted a test such as {path}.gte = 5")
    is_tests = all(key in OPERATORS for key in value) and not any(isinstance(one, Mapping) for one in value.values())
    if is_tests:
        return [_test(path, operator, operand, signals, calendars) for operator, operand in value.items()]
    found: list[Condition] = []
    for key, inner in value.items():
        found += _tests(f"{path}.{key}", inner, signals, calendars)
    return found


def _test(
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
        return Compare(path, operator, tuple(_operand(where, kind, one) for one in _list(where, operand)))  # type: ignore[arg-type]
    if isinstance(operand, list):
        raise ValueError(f"{where} is a list; wanted {path}.in = {operand!r:.60}")  # noqa: TRY004  # pydantic shows these
    if operator == "contains":
        _allow(where, kind, "text", "any")
    read = _operand(where, kind, operand)
    if operator in _ORDERED and isinstance(read, bool):
        raise ValueError(f"{where} is {operand!r:.60}; only numbers, durations and dates have an order")
    if operator in _ORDERED and kind == "text" and path != "time.date":
        raise ValueError(f"{where}: {path} is a text and has no order")
    return Compare(path, operator, read)  # type: ignore[arg-type]  # one of OPERATORS: `_tests` saw to it


def _kind(path: str, operator: str, signals: Mapping[str, SignalKind]) -> rule_fields.Kind:
    try:
        return rule_fields.field(path, signals).kind
    except ValueError:
        known, _, last = path.rpartition(".")
        if operator == "eq" and (known in rule_fields.FIELDS or known.removeprefix("signal.") in signals):
            raise ValueError(f"{path}: {last!r} is no test; wanted {', '.join(OPERATORS)}") from None
        raise


def _within(path: str, operator: str, operand: Any, calendars: Mapping[str, object]) -> Condition:
    """The field holds every calendar in whose hours it is now; a rule names one of them."""
    names = _list(f"{path}.in", operand) if operator in ("in", "not_in") else [operand]
    for name in names:
        if not isinstance(name, str) or name not in calendars:
            raise ValueError(f"{path} is {name!r:.60}; wanted a calendar: {', '.join(calendars) or 'there is none'}")
    now = AnyOf(tuple(Compare(path, "contains", name) for name in names))
    if operator in ("eq", "in"):
        return now
    if operator in ("ne", "not_in"):
        return Not(now)
    raise ValueError(f"{path}.{operator}: a calendar is held against by eq, ne, in or not_in")


def _list(where: str, operand: Any) -> list[Any]:
    if not isinstance(operand, list) or not 0 < len(operand) <= _LONGEST_LIST:
        raise ValueError(f"{where} is {operand!r:.60}; wanted a list of values")
    return operand


def _operand(where: str, kind: rule_fields.Kind, value: Any) -> Any:
    if isinstance(value, (dict, list)) or value is None:
        raise ValueError(f"{where} holds {value!r:.60}; wanted a number, a text, true or false")
    if kind == "duration":
        return seconds(_of(where, value, str, 'a duration such as "4h"'))
    if kind == "number" and isinstance(value, (bool, str)):
        raise ValueError(f"{where} is {value!r:.60}; wanted a number")
    if kind == "text" and not isinstance(value, str):
        raise ValueError(f"{where} is {value!r:.60}; wanted a text")
    if (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and (number(value) is None or abs(value) > _BIGGEST)
    ):
        raise ValueError(f"{where} is {value!r:.60}; a number up to 2^53 is told from its neighbours")
    return value


def _of(where: str, value: Any, kind: type, wanted: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"{where} is {value!r:.60}; wanted {wanted}")  # noqa: TRY004  # the same
    return value


def _allow(where: str, kind: str, *kinds: str) -> None:
    if kind not in kinds:
        raise ValueError(f"{where}: a {kind} cannot be held against that")
