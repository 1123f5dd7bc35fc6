"""Checking: what is allowed in a policy and yet will surprise, said before it is active."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from feedback.policy.conditions import Compare, Condition, Not
from feedback.policy.decision import NO_CERTIFICATE, of_data
from feedback.policy.explain import words
from feedback.policy.rules import AUTO, HOLD, OPERATORS
from feedback.policy.satisfiability import contradiction, implies
from feedback.policy.schema import Policy
from feedback.policy.tiers import Tier


def warnings(
    policy: Policy,
    *,
    labels: Collection[str] | None = None,
    data: Collection[Mapping[str, Any]] | None = None,
    control: str = "",
) -> list[str]:
    """Say what will surprise; `labels`, `data` and `control` are those of the project that it is for, where known."""
    found = [*_outcomes(policy), *_order(policy), *_tiers(policy), *_skills(policy)]
    if (
        policy.second_look.honeypots
        and not policy.second_look.share
        and not all(tier.blind for tier in list(policy.tiers.values())[1:])
    ):
        found.append("second_look.honeypots: without a share of second looks, only honeypots show reviewers nothing.")
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
        if test.field.startswith("data."):
            here = f"routing.{rule}"
            field = test.field.removeprefix("data.")
            found += _like_a_test(here, test.field) if data is None else _unknown_field(here, field, data)
        found += _unknown_option(rule, test, policy)
    return list(dict.fromkeys(found))


def _outcomes(policy: Policy) -> Iterator[str]:
    for rule in policy.routing:
        if rule.to == AUTO:
            tier = rule.tier or policy.first_tier
            yield f"routing.{rule.id}: auto is refused for now, {NO_CERTIFICATE}; its tasks go to people in {tier}."
        if rule.to == HOLD and not rule.when:
            yield f"routing.{rule.id}: every other task is kept back from everybody, until another rule applies."


def _order(policy: Policy) -> Iterator[str]:
    """A rule that nothing can meet, or that an earlier one leaves nothing."""
    earlier: list[tuple[str, Condition]] = []
    for rule, condition in zip(policy.routing, policy.conditions(), strict=True):
        before, asks = next(((name, one) for name, one in earlier if implies(condition, one)), ("", condition))
        if parts := contradiction(condition, policy.all_signals):
            both = " and ".join(words(part, policy) for part in parts)
            yield f"routing.{rule.id} is never met: nothing is such that {both}."
        elif before and implies(asks, condition):
            yield f"routing.{rule.id} is never reached: {before} asks the same before it."
        elif before:
            yield f"routing.{rule.id} is never reached: whatever meets it meets {before} before."
        if not parts:
            earlier.append((rule.id, condition))


def _tiers(policy: Policy) -> Iterator[str]:
    listed = {tier for person in policy.people.values() for tier in person.tiers or (policy.first_tier,)}
    for name, tier in policy.tiers.items():
        if policy.people and name != policy.first_tier and name not in listed:
            yield f"tiers.{name}: nobody in [people] may answer there."
        skilled = [one for one in policy.people.values() if name in one.tiers and set(tier.skills) <= set(one.skills)]
        if tier.skills and name in listed and not skilled:
            yield f"tiers.{name}: nobody there has {', '.join(tier.skills)}."
        clock = tier.resolve or tier.first_action
        if tier.on_breach == "escalate" and policy.tier_after(name) is None and clock:
            yield f"tiers.{name}: a breach escalates, and there is no tier after it."
        if name == policy.first_tier:
            yield from _of_the_source(name, tier)
        if tier.resolve and tier.resolve_s < tier.first_action_s:
            yield f"tiers.{name}: it is to be decided within {tier.resolve}, and begun within {tier.first_action} only."
        if tier.readers > 1 and name in listed:
            many = sum(name in one.tiers for one in policy.people.values())
            if many < tier.readers:
                yield f"tiers.{name}: {tier.readers} readers are wanted, and {many} may answer there."


def _of_the_source(name: str, tier: Tier) -> Iterator[str]:
    """What only review projects of ours can do."""
    ours = sorted({"protocol", "panel", "min_agreement", "blind", "actions", "own_cases"} & tier.model_fields_set)
    changed = [key for key in ours if getattr(tier, key) != Tier.model_fields[key].default]
    if changed:
        yield f"tiers.{name}: {', '.join(changed)} is for review projects; in the source [overlap] asks several."
    if tier.on_breach == "reassign":
        yield f"tiers.{name}: a breach cannot give a task of the source project to another person; it is only told."


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


def _unknown_option(rule: str, test: Compare, policy: Policy) -> Iterator[str]:
    name = test.field.removeprefix("signal.")
    options = policy.all_signals[name].options if name in policy.all_signals else ()
    for named in test.operand if isinstance(test.operand, tuple) else (test.operand,):
        if options and isinstance(named, str) and named not in options:
            yield f"routing.{rule}: {test.field} is never {named!r}; it is one of {', '.join(options)}."


def _like_a_test(where: str, field: str) -> Iterator[str]:
    """data.amount.gtee is a field within data.amount to us, and hardly to whoever wrote it."""
    inner, _, last = field.rpartition(".")
    if inner != "data" and (near := get_close_matches(last, OPERATORS, n=1, cutoff=0.75)):
        yield f"{where}: {field} is read as a field within {inner}; did you mean the test {inner}.{near[0]}?"


def _unknown_field(where: str, field: str, data: Collection[Mapping[str, Any]]) -> Iterator[str]:
    name, read = field.partition(".")[0], of_data(field)
    known = {key for one in data for key in one}
    if not data or any(read(one) is not None for one in data):
        return
    if name not in known and field not in known:
        near = get_close_matches(name, list(known), n=1)
        guess = f"did you mean data.{near[0]}?" if near else f"they have {', '.join(sorted(known)[:20])}."
        yield f"{where}: no task has data.{name}; {guess}"
    elif name != field and (like := list(_like_a_test(where, f"data.{field}"))):
        yield from like
    elif name != field:
        yield f"{where}: no task has data.{field}, though some have data.{name}."
