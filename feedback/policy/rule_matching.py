"""Which rule of a policy a task meets, and what then happens to it; for one task or for many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from feedback.policy.conditions import (
    ALWAYS,
    Compare,
    Lookup,
    Table,
    condition_fields,
    first_match,
    list_tests,
    meets,
)
from feedback.policy.rules import AUTO, HOLD, Priority, Rule
from feedback.policy.schema import Policy

NOT_CERTIFIED = "no certificate allows it yet"
SAMPLE = "sample"  # of a task that was drawn to measure, AUDIT or GOLD; no rule can test it
AUDIT, GOLD = "audit", "gold"
_COUNT = ".count"  # of a signal: without signals it is 0, not missing
_MAX_LENGTH = 500  # characters of an identifier


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the policy does with a task."""

    rule: str  # the id of the rule that decided
    to: str  # a tier, or "hold"
    refused: str  # why the action of the rule is not allowed; "" where it is
    reason: str  # in plain words
    priority: Priority
    queue: str
    overlap: int | None
    skills: tuple[str, ...] = ()
    sample: str = ""  # AUDIT or GOLD: the first tier answers it blind, whatever the rule says


class Router:
    """The rules of a policy, parsed once.

    A task that was drawn to measure (`SAMPLE`) is neither held nor automated nor hurried, and asked as often as without
    rules: a sample that rules choose from is none. A rule that names a later tier gets an audit task after the first
    tier has answered it.

    >>> from feedback.policy import read_policy
    >>> text = "routing = [{id='big', to='L2', when={data.amount.gte=5000}}, {id='rest', to='L1'}]"
    >>> router = Router(read_policy(text + "\\n[tiers.L1]\\n[tiers.L2]"))
    >>> [router.route_task(make_lookup({}, {"amount": amount})).to for amount in (9000, 9)]
    ['L2', 'L1']
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        rules = policy.routing or (Rule(id="default", to=policy.first_tier),)
        self._conditions = policy.conditions() or [ALWAYS]
        self._holds_s = [rule.hold_s for rule in rules]
        self._outcomes = [(_outcome(policy, rule), _held_outcome(policy, rule)) for rule in rules]
        self._sampled = [{sample: _sampled_outcome(policy, rule, sample) for sample in (AUDIT, GOLD)} for rule in rules]

    @property
    def fields(self) -> frozenset[str]:
        """Return every field that the rules test."""
        age = {"time.age"} if any(self._holds_s) else set()
        return frozenset[str]().union(age, *map(condition_fields, self._conditions))

    def tests_of(self, field: str) -> list[Compare]:
        """Return every test of one field, in the order of the rules."""
        return [test for condition in self._conditions for test in list_tests(condition) if test.field == field]

    def route_task(self, get: Lookup) -> Outcome:
        """Return the outcome for one task."""
        index = next(index for index, condition in enumerate(self._conditions) if meets(condition, get))
        if isinstance(sample := get(SAMPLE), str) and sample in self._sampled[index]:
            return self._sampled[index][sample]
        age_s = get("time.age")
        is_held = isinstance(age_s, (int, float)) and age_s < self._holds_s[index]
        return self._outcomes[index][is_held]

    def route_table(self, table: Table) -> Sequence[Outcome]:
        """Return the outcome for each row of a table, shape (n,)."""
        indices: list[int] = first_match(self._conditions, table).tolist()
        if any(self._holds_s):
            ages_s = table.numbers("time.age").tolist()
            found = [
                self._outcomes[index][age_s < self._holds_s[index]]  # a missing age is NaN, which is never smaller
                for index, age_s in zip(indices, ages_s, strict=True)
            ]
        else:
            found = [self._outcomes[index][0] for index in indices]
        for row, sample in enumerate(table.values(SAMPLE)):
            if sample:
                found[row] = self._sampled[indices[row]][sample]
        return found


def make_lookup(inputs: Mapping[str, Any], data: Mapping[str, Any]) -> Lookup:
    """Return a function that returns the value of a field, from the recorded inputs and the data of one task."""

    def get(field: str) -> object:
        if field.startswith("data."):
            return make_data_reader(field[5:])(data)
        value = inputs.get(field)
        return 0 if value is None and field.startswith("signal.") and field.endswith(_COUNT) else value

    return get


def make_data_reader(path: str) -> Callable[[Mapping[str, Any]], object]:
    """Return a function that reads one field of task data, by the full name or level by level.

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
    """Return an identifier as text; "" for a value that cannot be one.

    >>> [identifier_text(value) for value in (7, 7.0, " A-7 ", None, True, [7])]
    ['7', '7', 'A-7', '', '', '']
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return ""
    return str(value).strip()[:_MAX_LENGTH]


def _outcome(policy: Policy, rule: Rule) -> Outcome:
    to, refused = rule.to, ""
    if rule.to == AUTO:
        to, refused = rule.tier or policy.first_tier, NOT_CERTIFIED
    return Outcome(rule.id, to, refused, rule.reason, rule.priority, rule.queue, rule.overlap, rule.skills)


def _held_outcome(policy: Policy, rule: Rule) -> Outcome:
    """Return the outcome of a rule while its hold lasts."""
    reason = f"held for {rule.hold} after the import"
    return replace(_outcome(policy, rule), to=HOLD, refused="", reason=reason)


def _sampled_outcome(policy: Policy, rule: Rule, sample: str) -> Outcome:
    """Return the outcome for a task that was drawn to measure; `refused` says what of the rule does not apply."""
    usual, first = _outcome(policy, rule), policy.first_tier
    plain = Outcome(rule.id, first, "", rule.reason, "normal", rule.queue, None)
    if usual == plain and not rule.hold:
        return replace(plain, sample=sample)
    to = usual.to if sample == AUDIT and usual.to != HOLD else first
    then = f", before {to} gets it, blind, too" if to != first else ""
    refused = f"{first} answers each {sample} task blind and in its own order, whatever the rules say{then}"
    return replace(plain, to=to, refused=refused, sample=sample)
