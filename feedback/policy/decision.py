"""Deciding: what a policy does with a task, from its facts alone; the same for one task and for many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feedback.policy.conditions import ALWAYS, Check, Lookup, Table, compile_condition, condition_fields, first_match
from feedback.policy.rules import AUTO, HOLD, Priority, Rule
from feedback.policy.schema import Policy

NOT_CERTIFIED = "no certificate allows it yet"
_COUNT = ".count"  # of a signal: none came is 0, not missing
_LONGEST = 500  # characters of a name


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happens to a task."""

    rule: str  # the id of the rule that decided
    to: str  # a tier, or "hold"
    refused: str  # why what the rule says cannot be; "" where it is
    reason: str  # in plain words
    priority: Priority
    queue: str
    overlap: int | None
    skills: tuple[str, ...] = ()


class Router:
    """A policy's rules, compiled once.

    >>> from feedback.policy import read_policy
    >>> text = "routing = [{id='big', to='L2', when={data.amount.gte=5000}}, {id='rest', to='L1'}]"
    >>> router = Router(read_policy(text + "\\n[tiers.L1]\\n[tiers.L2]"))
    >>> router.one(make_lookup({}, {"amount": 9000})).to, router.one(make_lookup({}, {"amount": 9})).to
    ('L2', 'L1')
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        rules = policy.routing or (Rule(id="default", to=policy.first_tier),)
        self._conditions = policy.conditions() or [ALWAYS]
        self._checks: list[Check] = [compile_condition(condition) for condition in self._conditions]
        self._holds_s = [rule.hold_s for rule in rules]
        self._outcomes = [(_outcome(policy, rule), _waits(policy, rule)) for rule in rules]

    @property
    def fields(self) -> frozenset[str]:
        """Every field that some rule looks at."""
        age = {"time.age"} if any(self._holds_s) else set()
        return frozenset[str]().union(age, *map(condition_fields, self._conditions))

    def one(self, get: Lookup) -> Outcome:
        """Decide about one task, rule by rule."""
        place = next(place for place, check in enumerate(self._checks) if check(get))
        age_s = get("time.age")
        waits = isinstance(age_s, (int, float)) and age_s < self._holds_s[place]
        return self._outcomes[place][waits]

    def all(self, table: Table) -> Sequence[Outcome]:
        """(n,) decide about many tasks, column by column."""
        places = first_match(self._conditions, table)
        if not any(self._holds_s):
            return [self._outcomes[place][0] for place in places.tolist()]
        ages_s = table.numbers("time.age").tolist()
        return [
            self._outcomes[place][age_s < self._holds_s[place]]  # no age, no wait: NaN is below nothing
            for place, age_s in zip(places.tolist(), ages_s, strict=True)
        ]


def make_lookup(inputs: Mapping[str, Any], data: Mapping[str, Any]) -> Lookup:
    """Look fields up in one task's recorded inputs and data."""

    def get(field: str) -> object:
        if field.startswith("data."):
            return make_data_reader(field[5:])(data)
        value = inputs.get(field)
        return 0 if value is None and field.startswith("signal.") and field.endswith(_COUNT) else value

    return get


def make_data_reader(path: str) -> Callable[[Mapping[str, Any]], object]:
    """Give what reads a field of a task's data: "customer.standing" by that very name, or level by level.

    >>> read = make_data_reader("customer.standing")
    >>> read({"customer": {"standing": "gold"}}), read({"customer.standing": "new"}), read({})
    ('gold', 'new', None)
    """
    names = path.split(".")
    if len(names) == 1:
        return lambda data: data.get(path)

    def read(data: Mapping[str, Any]) -> object:
        if path in data:
            return data[path]
        value: Any = data
        for name in names:
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    return read


def identifier_text(value: object) -> str:
    """A value by which something is called, as text; "" for what is no name.

    >>> identifier_text(7), identifier_text(7.0), identifier_text(" A-7 "), identifier_text(None), identifier_text(True), identifier_text([7])
    ('7', '7', 'A-7', '', '', '')
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return ""
    return str(value).strip()[:_LONGEST]


def _outcome(policy: Policy, rule: Rule) -> Outcome:
    to, refused = rule.to, ""
    if rule.to == AUTO:
        to, refused = rule.tier or policy.first_tier, NOT_CERTIFIED
    return Outcome(rule.id, to, refused, rule.reason, rule.priority, rule.queue, rule.overlap, rule.skills)


def _waits(policy: Policy, rule: Rule) -> Outcome:
    """The same rule while its hold lasts."""
    after = _outcome(policy, rule)
    reason = f"kept back for {rule.hold} after the import"
    return Outcome(rule.id, HOLD, "", reason, after.priority, after.queue, after.overlap, after.skills)
