"""The policy in plain words: what each rule says, and which part of a rule a task meets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from feedback.policy.conditions import AllOf, Compare, Condition, Lookup, Not, compiled
from feedback.policy.decision import NO_CERTIFICATE
from feedback.policy.linear_regex import Pattern
from feedback.policy.rule_fields import field
from feedback.policy.rules import AUTO, HOLD, Rule
from feedback.policy.schema import Policy
from feedback.policy.tiers import Tier

_WORDS = {
    "eq": "is",
    "ne": "is there and is not",
    "gt": "is more than",
    "gte": "is at least",
    "lt": "is less than",
    "lte": "is at most",
    "in": "is one of",
    "not_in": "is there and is none of",
    "matches": "matches the pattern",
    "contains": "contains",
}


@dataclass(frozen=True, slots=True)
class Clause:
    """One part of a condition, held against one task."""

    depth: int
    text: str
    met: bool


def explain(policy: Policy) -> list[str]:
    """Say a policy's routing, tiers, people, questions and rights, one sentence a line, in the order they apply in."""
    return [
        *_routing(policy),
        *_tiers(policy),
        *_calendars(policy),
        *_people(policy),
        *_reasons(policy),
        *_questions(policy),
        *_second_look(policy),
        _rights(policy),
    ]


def clauses(condition: Condition, policy: Policy, get: Lookup) -> list[Clause]:
    """Hold every part of a condition against one task; the first clause is the whole."""
    return list(_clauses(condition, policy, get, 0))


def words(condition: Condition, policy: Policy) -> str:
    """Say a condition in one phrase.

    >>> words(Compare("model.confidence", "gte", 0.9), Policy())
    'model.confidence is at least 0.9'
    """
    if isinstance(condition, Compare):
        return _compare(condition, policy)
    if isinstance(condition, Not):
        return f"not ({words(condition.part, policy)})"
    parts = [words(part, policy) for part in condition.parts]
    joined = (" and " if isinstance(condition, AllOf) else " or ").join(
        part if isinstance(part_of, (Compare, Not)) or len(parts) == 1 else f"({part})"
        for part, part_of in zip(parts, condition.parts, strict=True)
    )
    return joined or "always"


def duration(seconds: float) -> str:
    """Say a number of seconds in the units of the policy file.

    >>> duration(5400.0), duration(0.0)
    ('1h30m', '0s')
    """
    left, said = int(seconds), ""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        many, left = divmod(left, size)
        said += f"{many}{unit}" if many else ""
    return said or "0s"


def _routing(policy: Policy) -> Iterator[str]:
    if not policy.routing:
        yield f"Every task goes to {policy.first_tier}: there are no routing rules."
    for number, (rule, condition) in enumerate(zip(policy.routing, policy.conditions(), strict=True), start=1):
        when = f"where {words(condition, policy)}" if rule.when else "all others"
        yield f"Rule {number}, {rule.id}: {when}: {_what(rule, policy)}"


def _what(rule: Rule, policy: Policy) -> str:
    if rule.to == AUTO:
        tier = rule.tier or policy.first_tier
        said = f"the model's answer is taken; refused for now ({NO_CERTIFICATE}), so people in {tier} decide"
    elif rule.to == HOLD:
        said = "nobody sees it until another rule applies"
    else:
        said = f"people in {rule.to} decide"
    more = [
        f"{rule.priority} priority" if rule.priority != "normal" else "",
        f"queue {rule.queue}" if rule.queue != "default" else "",
        f"{rule.overlap} people" if rule.overlap else "",
        f"not before {rule.hold} after the import" if rule.hold else "",
        f"needs {', '.join(rule.skills)}" if rule.skills else "",
    ]
    text = ", ".join([said, *filter(None, more)])
    return f"{text}. Reason: {rule.reason}." if rule.reason else f"{text}."


def _tiers(policy: Policy) -> Iterator[str]:
    for name, tier in policy.tiers.items():
        yield f"Tier {name}{f' ({tier.title})' if tier.title else ''}: {', '.join(_tier(policy, name, tier))}."


def _tier(policy: Policy, name: str, tier: Tier) -> Iterator[str]:
    first = name == policy.first_tier
    if first:
        yield "the Label Studio project itself"
    else:
        yield "a review project"
        how = {"single": "one person decides", "two-reader": "two read apart, a third settles"}
        yield how.get(tier.protocol, f"a panel of {tier.panel} votes, more than {tier.min_agreement:.0%} decide")
        if tier.blind:
            yield "blind: the model's answer and earlier votes are kept from whoever looks"
    if tier.skills:
        yield f"needs {', '.join(tier.skills)}"
    if tier.first_action:
        yield f"started within {tier.first_action}"
    if tier.resolve:
        yield f"decided within {tier.resolve}"
    if tier.calendar and (tier.first_action or tier.resolve):
        yield f"counted in the hours of {tier.calendar}"
    after = policy.tier_after(name)
    if tier.first_action or tier.resolve:
        breach = {
            "escalate": f"escalates to {after}" if after else "is only told",
            "reassign": "is only told" if first else "goes to another person",
        }
        yield f"a breach {breach.get(tier.on_breach, 'is only told')}"
    skip = {"escalate": "escalates", "requeue": "gives it to others", "ignore": "means nothing"}
    yield f"a skip {skip[tier.skip_means]}"


def _calendars(policy: Policy) -> Iterator[str]:
    for name, one in policy.calendars.items():
        free = f", and never on {', '.join(one.holidays)}" if one.holidays else ""
        yield f"The hours of {name}: {', '.join(one.days)} {', '.join(one.hours)} in {one.timezone}{free}."


def _reasons(policy: Policy) -> Iterator[str]:
    if len(policy.tiers) > 1:
        titles = "; ".join(title or code for code, title in policy.reasons.items())
        yield f"Whoever does not accept what is proposed in a review project says why: {titles}."


def _people(policy: Policy) -> Iterator[str]:
    for email, person in policy.people.items():
        skills = f", with {', '.join(person.skills)}" if person.skills else ""
        yield f"{email} ({person.role}) answers in {', '.join(person.tiers) or policy.first_tier}{skills}."


def _questions(policy: Policy) -> Iterator[str]:
    for name, one in policy.feedback.items():
        wanted = "is asked" if one.required else "may be answered"
        among = f": {', '.join(one.options)}" if one.options else ""
        yield f'Beside the answer, "{one.title or name}" {wanted}{among}.'
        if one.feature:
            yield (
                f"  It belongs to the task's {one.entity}; the model reads it with every other task that has the same, "
                "as soon as it is recorded, and learns from it only as it was known at each task's time."
            )
    if policy.tasks.key:
        yield f"Signals from outside may name a task by its {policy.tasks.key}."


def _second_look(policy: Policy) -> Iterator[str]:
    if policy.second_look.share and len(policy.tiers) > 1:
        yield f"{policy.second_look.share:.1%} of what people decide is decided again, by somebody who sees none of it."
    if policy.second_look.honeypots:
        yield f"{policy.second_look.honeypots:.1%} of the places in review projects have a known answer."
    if policy.costs.error is not None:
        yield f"A wrong answer that nobody looked at costs {policy.costs.error:,g}."


def _rights(policy: Policy) -> str:
    if policy.rights.human_review == "never":
        return "Nobody gets a person's review for the asking: the decisions are about no person."
    when = {"on request": "when they ask", "always": "without asking"}[policy.rights.human_review]
    within = f", within {policy.rights.within}" if policy.rights.within else ""
    return f"Whoever an automated decision is about gets a person's review {when}{within}."


def _clauses(condition: Condition, policy: Policy, get: Lookup, depth: int) -> Iterator[Clause]:
    holds = compiled(condition)(get)
    if isinstance(condition, Compare):
        value = get(condition.field)
        seen = "is missing" if value is None else f"is {value!r:.60}"
        yield Clause(depth, f"{_compare(condition, policy)} ({seen})", holds)
        return
    if isinstance(condition, Not):
        yield Clause(depth, "not", holds)
        yield from _clauses(condition.part, policy, get, depth + 1)
        return
    yield Clause(depth, "all of" if isinstance(condition, AllOf) else "one of", holds)
    for part in condition.parts:
        yield from _clauses(part, policy, get, depth + 1)


def _compare(test: Compare, policy: Policy) -> str:
    if test.operator == "exists":
        return f"{test.field} is {'there' if test.operand else 'missing'}"
    if test.field == "time.within":
        return f"it is in the hours of {test.operand}"
    is_time = field(test.field, policy.all_signals).kind == "duration"
    return f"{test.field} {_WORDS[test.operator]} {_operand(test.operand, is_time=is_time)}"


def _operand(operand: Any, *, is_time: bool) -> str:
    if isinstance(operand, tuple):
        shown = ", ".join(_operand(one, is_time=is_time) for one in operand[:10])
        return f"{shown}, … ({len(operand)})" if len(operand) > 10 else shown
    if isinstance(operand, Pattern):
        return f'"{operand.text}"'
    if isinstance(operand, bool):
        return "true" if operand else "false"
    return duration(operand) if is_time else f'"{operand}"' if isinstance(operand, str) else f"{operand:,}"
