"""What the rules of a policy do while no model exists: a test of the model is false then, and `not` of it is true."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from feedback.policy.conditions import Condition, condition_fields, meets
from feedback.policy.rule_matching import make_lookup
from feedback.policy.rules import AUTO, HOLD, Rule
from feedback.policy.satisfiability import assume_missing
from feedback.policy.schema import Policy

# what a rule does with tasks that no person answers, by its `to`
_WITHOUT_PEOPLE = {
    AUTO: "would send {tasks} to automation",
    HOLD: "holds {tasks}: people answer only audit and gold tasks, from which no model learns",
}
_Reached = list[tuple[Rule, Condition | bool]]


def describe_before_first_model(
    policy: Policy, data: Collection[Mapping[str, Any]] | None = None
) -> Iterator[tuple[str, str]]:
    """Yield (key, sentence) for rules that send everything to people, to automation or nowhere while no model exists.

    Derived from the conditions alone; with the `data` of the project's tasks, rules about task fields that none of
    them meets are left out. Nothing is yielded where all goes to people of the first tier with and without a model:
    that is what a policy without rules does.
    """
    conditions = policy.conditions()
    reached = _list_reached(policy, conditions, data)
    if not reached:
        return
    last, kinds = reached[-1][0], {_kind(rule) for rule, _condition in reached}
    tiers = {rule.to for rule, _condition in reached}
    left_out = {rule.to for rule in policy.routing if _reads_model(policy, rule)} - tiers
    if kinds == {"people"} and (left_out or policy.first_tier not in tiers):
        skipped = (
            "" if policy.first_tier in tiers else f" People of {policy.first_tier} are asked audit and gold tasks only."
        )
        when = "while no model exists, " if any(_reads_model(policy, rule) for rule in policy.routing) else ""
        yield f"routing.{last.id}", f"{when}every task goes to people: {_list_rules(reached, 'to')}.{skipped}"
    for rule, condition in reached:
        says = _WITHOUT_PEOPLE.get(rule.to)
        if says and (_reads_model(policy, rule) or (condition is True and (rule.to == AUTO or kinds == {_kind(rule)}))):
            tasks = "every task" if kinds == {_kind(rule)} else "tasks"
            why = (
                " A test of the model is false without one, so `not` of it is true: add model.confidence.exists = true."
                if _reads_model(policy, rule)
                else ""
            )
            yield f"routing.{rule.id}", f"while no model exists, this rule {says.format(tasks=tasks)}.{why}"


def _list_reached(policy: Policy, conditions: list[Condition], data: Collection[Mapping[str, Any]] | None) -> _Reached:
    """Return the rules that tasks can meet while no model exists, each with what is left of its condition."""
    found: _Reached = []
    for rule, condition in zip(policy.routing, conditions, strict=True):
        left = assume_missing(condition, _is_model)
        if left is False or (data and not isinstance(left, bool) and not _any_meets(left, data)):
            continue
        found.append((rule, left))
        if left is True:
            break
    return found


def _any_meets(condition: Condition, data: Collection[Mapping[str, Any]]) -> bool:
    """Return whether a task meets a condition; True where it tests more than task fields, which may change."""
    if not all(field.startswith("data.") for field in condition_fields(condition)):
        return True
    return any(meets(condition, make_lookup({}, task)) for task in data)


def _is_model(field: str) -> bool:
    return field.startswith("model.")


def _reads_model(policy: Policy, rule: Rule) -> bool:
    return any(map(_is_model, condition_fields(rule.condition(policy.all_signals, policy.calendars))))


def _kind(rule: Rule) -> str:
    return {AUTO: "automation", HOLD: "nobody"}.get(rule.to, "people")


def _list_rules(reached: _Reached, word: str) -> str:
    return ", ".join(f"rule {rule.id} {word} {rule.to}" for rule, _condition in reached)
