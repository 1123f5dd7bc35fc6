"""Checking: what is allowed in a policy and yet will surprise, said before it is active."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from feedback.policy.decide import NO_CERTIFICATE
from feedback.policy.rules import AUTO, HOLD
from feedback.policy.schema import Policy
from sampling.routing import Compare, Condition, Not


def warnings(
    policy: Policy,
    *,
    labels: Collection[str] | None = None,
    data: Collection[Mapping[str, Any]] | None = None,
    control: str = "",
) -> list[str]:
    """Say what will surprise; `labels`, `data` and `control` are those of the project that it is for, where known."""
    found = [*_outcomes(policy), *_order(policy), *_tiers(policy), *_skills(policy)]
    if control in policy.feedback:
        found.append(f"feedback.{control}: that is the control that is learned, so its answers are no feedback.")
    if data is not None:
        named = {f"feedback.{name}.entity": field for name, field in policy.features.items()}
        for where, field in {**named, "tasks.key": policy.tasks.key}.items():
            found += _unknown_field(where, field, data) if field else ()
    tests = [
        (rule.id, test) for rule, one in zip(policy.routing, policy.conditions(), strict=True) for test in _tests(one)
    ]
    for rule, test in tests:
        if labels is not None and test.field == "model.label":
            found += _unknown_labels(rule, test, labels)
        if data is not None and test.field.startswith("data."):
            found += _unknown_field(f"routing.{rule}", test.field.removeprefix("data."), data)
    return list(dict.fromkeys(found))


def _outcomes(policy: Policy) -> Iterator[str]:
    for rule in policy.routing:
        if rule.to == AUTO:
            tier = rule.tier or policy.first_tier
            yield f"routing.{rule.id}: auto is refused for now, {NO_CERTIFICATE}; its tasks go to people in {tier}."
        if rule.to == HOLD and not rule.when:
            yield f"routing.{rule.id}: every other task is kept back from everybody, until another rule applies."


def _order(policy: Policy) -> Iterator[str]:
    """A rule that asks just what an earlier one asks is never reached."""
    first: dict[Condition, str] = {}
    for rule, condition in zip(policy.routing, policy.conditions(), strict=True):
        if earlier := first.get(condition):
            yield f"routing.{rule.id} is never reached: {earlier} asks the same before it."
        first.setdefault(condition, rule.id)


def _tiers(policy: Policy) -> Iterator[str]:
    listed = {tier for person in policy.people.values() for tier in person.tiers or (policy.first_tier,)}
    for name, tier in policy.tiers.items():
        if policy.people and name != policy.first_tier and name not in listed:
            yield f"tiers.{name}: nobody in [people] may answer there."
        skilled = [one for one in policy.people.values() if name in one.tiers and set(tier.skills) <= set(one.skills)]
        if tier.skills and name in listed and not skilled:
            yield f"tiers.{name}: nobody there has {', '.join(tier.skills)}."
        if tier.on_breach == "escalate" and policy.tier_after(name) is None and (tier.resolve or tier.first_action):
            yield f"tiers.{name}: a breach escalates, and there is no tier after it."
        if tier.readers > 1 and name in listed:
            many = sum(name in one.tiers for one in policy.people.values())
            if many < tier.readers:
                yield f"tiers.{name}: {tier.readers} readers are wanted, and {many} may answer there."


def _skills(policy: Policy) -> Iterator[str]:
    """A rule whose skills nobody of its tier has sends tasks where no answer counts."""
    for rule in policy.routing:
        tier = rule.tier or policy.first_tier if rule.to == AUTO else rule.to
        there = [one for one in policy.people.values() if tier in (one.tiers or (policy.first_tier,))]
        if rule.skills and policy.people and not any(set(rule.skills) <= set(one.skills) for one in there):
            yield f"routing.{rule.id}: nobody in {tier} has {', '.join(rule.skills)}, so no answer will count."
        if rule.skills and not policy.people:
            yield f"routing.{rule.id}: wants {', '.join(rule.skills)}, and without [people] nobody's skills are asked."


def _tests(condition: Condition) -> Iterator[Compare]:
    if isinstance(condition, Compare):
        yield condition
        return
    for part in (condition.part,) if isinstance(condition, Not) else condition.parts:
        yield from _tests(part)


def _unknown_labels(rule: str, test: Compare, labels: Collection[str]) -> Iterator[str]:
    for named in test.operand if isinstance(test.operand, tuple) else (test.operand,):
        if isinstance(named, str) and test.operator in ("eq", "ne", "in", "not_in") and named not in labels:
            near = get_close_matches(named, list(labels), n=1)
            guess = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(labels)}."
            yield f"routing.{rule}: the project has no label {named!r}; {guess}"


def _unknown_field(where: str, field: str, data: Collection[Mapping[str, Any]]) -> Iterator[str]:
    name = field.partition(".")[0]
    known = {key for one in data for key in one}
    if data and name not in known and field not in known:
        near = get_close_matches(name, list(known), n=1)
        guess = f"did you mean data.{near[0]}?" if near else f"they have {', '.join(sorted(known)[:20])}."
        yield f"{where}: no task has data.{name}; {guess}"
