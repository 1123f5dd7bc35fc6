"""Warnings about a policy: rules that can never be met, tiers without people, unknown labels and task fields."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from feedback.policy.conditions import Compare, Condition, list_tests
from feedback.policy.explain import condition_text
from feedback.policy.rule_matching import NOT_CERTIFIED, make_data_reader
from feedback.policy.rules import AUTO, HOLD, OPERATORS
from feedback.policy.satisfiability import find_contradiction, implies
from feedback.policy.schema import Policy
from feedback.policy.tiers import Tier


@dataclass(frozen=True, slots=True)
class PolicyFinding:
    """One thing that is wrong, or may surprise, in a policy. With an error the policy cannot be activated."""

    level: Literal["error", "warning"]
    key: str  # of hitl.toml: "routing.big", "tiers.L1", ...
    sentence: str
    hint: str = ""  # what to do next

    def __str__(self) -> str:
        """Return key and sentence."""
        return f"{self.key}: {self.sentence}"


def lint_policy(
    policy: Policy,
    *,
    labels: Collection[str] | None = None,
    data: Collection[Mapping[str, Any]] | None = None,
    control: str = "",
) -> list[PolicyFinding]:
    """Return warnings about everything that is allowed and may surprise.

    `labels`, `control` and the task `data` are those of the project that the policy is for; None or "" where there is
    no project.
    """
    found = [*_lint_outcomes(policy), *_lint_order(policy), *_lint_tiers(policy), *_lint_skills(policy)]
    later_tiers = list(policy.tiers.values())[1:]
    if policy.second_look.honeypots and not policy.second_look.share and not all(tier.blind for tier in later_tiers):
        found.append(
            _warn("second_look.honeypots", "only honeypots show reviewers nothing. Set second_look.share as well.")
        )
    if control in policy.feedback:
        found.append(_warn(f"feedback.{control}", "the model learns this control, so its answers are no feedback."))
    if data is not None:
        entities = {f"feedback.{name}.entity": field for name, field in policy.indicators.items()}
        for key, field in {**entities, "tasks.key": policy.tasks.key}.items():
            found += _lint_field(key, field, data) if field else ()
    for rule, condition in zip(policy.routing, policy.conditions(), strict=True):
        key = f"routing.{rule.id}"
        for test in list_tests(condition):
            if labels is not None and test.field == "model.label":
                found += _lint_labels(key, test, labels)
            if test.field.startswith("data."):
                field = test.field.removeprefix("data.")
                found += _lint_misspelt_test(key, test.field) if data is None else _lint_field(key, field, data)
            found += _lint_options(key, test, policy)
    return list(dict.fromkeys(found))


def _warn(key: str, sentence: str) -> PolicyFinding:
    return PolicyFinding("warning", key, sentence)


def _lint_outcomes(policy: Policy) -> Iterator[PolicyFinding]:
    for rule in policy.routing:
        if rule.to == AUTO:
            tier = rule.tier or policy.first_tier
            yield _warn(f"routing.{rule.id}", f"auto is refused for now: {NOT_CERTIFIED}. The tasks go to {tier}.")
        if rule.to == HOLD and not rule.when:
            yield _warn(f"routing.{rule.id}", "nobody sees the other tasks until another rule applies to them.")


def _lint_order(policy: Policy) -> Iterator[PolicyFinding]:
    """Find rules that no task can meet, and rules whose tasks all meet an earlier rule."""
    earlier: list[tuple[str, Condition]] = []
    for rule, condition in zip(policy.routing, policy.conditions(), strict=True):
        key = f"routing.{rule.id}"
        first, first_condition = next(
            ((name, other) for name, other in earlier if implies(condition, other)), ("", None)
        )
        if parts := find_contradiction(condition, policy.all_signals):
            text = " and ".join(condition_text(part, policy) for part in parts)
            yield _warn(key, f"this rule is never met. No task can meet: {text}.")
            continue
        if first_condition is not None and implies(first_condition, condition):
            yield _warn(key, f"this rule is never reached. The earlier rule {first} has the same condition.")
        elif first_condition is not None:
            yield _warn(key, f"this rule is never reached. Every task that meets it meets the earlier rule {first}.")
        earlier.append((rule.id, condition))


def _lint_tiers(policy: Policy) -> Iterator[PolicyFinding]:
    staffed = {tier for person in policy.people.values() for tier in person.tiers or (policy.first_tier,)}
    for name, tier in policy.tiers.items():
        key, people = f"tiers.{name}", [person for person in policy.people.values() if name in person.tiers]
        if policy.people and name != policy.first_tier and name not in staffed:
            yield _warn(key, "nobody in [people] may answer in this tier.")
        skilled = any(set(tier.skills) <= set(person.skills) for person in people)
        if tier.skills and name in staffed and not skilled:
            yield _warn(key, f"nobody in this tier has the skills {', '.join(tier.skills)}.")
        if tier.on_breach == "escalate" and policy.tier_after(name) is None and (tier.resolve or tier.first_action):
            yield _warn(key, "a breach escalates, but there is no tier after this one.")
        if name == policy.first_tier:
            yield from _lint_first_tier(key, tier)
        if tier.resolve and tier.resolve_s < tier.first_action_s:
            yield _warn(key, f"resolve ({tier.resolve}) is shorter than first_action ({tier.first_action}).")
        if tier.n_reviewers > 1 and name in staffed and len(people) < tier.n_reviewers:
            yield _warn(key, f"each case needs {tier.n_reviewers} people, but {len(people)} may answer in this tier.")


def _lint_first_tier(key: str, tier: Tier) -> Iterator[PolicyFinding]:
    """Find keys of the first tier that only review projects support."""
    names = sorted({"protocol", "panel", "min_agreement", "blind", "actions", "own_cases"} & tier.model_fields_set)
    changed = [name for name in names if getattr(tier, name) != Tier.model_fields[name].default]
    if changed:
        yield _warn(key, f"{', '.join(changed)}: for review projects only. In the first tier, use [overlap].")
    if tier.on_breach == "reassign":
        yield _warn(key, "tasks of the source project cannot be reassigned. A breach only notifies.")


def _lint_skills(policy: Policy) -> Iterator[PolicyFinding]:
    """Find rules that need skills which nobody in their tier has."""
    for rule in policy.routing:
        key, skills = f"routing.{rule.id}", ", ".join(rule.skills)
        tier = rule.tier or policy.first_tier if rule.to == AUTO else rule.to
        people = [person for person in policy.people.values() if tier in (person.tiers or (policy.first_tier,))]
        if rule.skills and policy.people and not any(set(rule.skills) <= set(person.skills) for person in people):
            yield _warn(key, f"nobody in {tier} has the skills {skills}, so no answer will count.")
        if rule.skills and not policy.people:
            yield _warn(key, f"needs the skills {skills}, but without [people] no skills are checked.")


def _operands(test: Compare) -> tuple[Any, ...]:
    return test.operand if isinstance(test.operand, tuple) else (test.operand,)


def _lint_labels(key: str, test: Compare, labels: Collection[str]) -> Iterator[PolicyFinding]:
    for label in _operands(test):
        if isinstance(label, str) and test.operator in ("eq", "ne", "in", "not_in") and label not in labels:
            near = get_close_matches(label, list(labels), n=1)
            suggestion = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(labels)}."
            yield _warn(key, f"the project has no label {label!r}; {suggestion}")


def _lint_options(key: str, test: Compare, policy: Policy) -> Iterator[PolicyFinding]:
    name = test.field.removeprefix("signal.")
    options = policy.all_signals[name].options if name in policy.all_signals else ()
    for value in _operands(test):
        if options and isinstance(value, str) and value not in options:
            yield _warn(key, f"{test.field} is never {value!r}; it is one of {', '.join(options)}.")


def _lint_misspelt_test(key: str, field: str) -> Iterator[PolicyFinding]:
    """Find a misspelt test such as data.amount.gtee, which reads as a field within data.amount."""
    inner, _, last = field.rpartition(".")
    if inner != "data" and (near := get_close_matches(last, OPERATORS, n=1, cutoff=0.75)):
        yield _warn(key, f"{field} is read as a field within {inner}; did you mean the test {inner}.{near[0]}?")


def _lint_field(key: str, field: str, data: Collection[Mapping[str, Any]]) -> Iterator[PolicyFinding]:
    name, read = field.partition(".")[0], make_data_reader(field)
    names = {field_name for item in data for field_name in item}
    if not data or any(read(item) is not None for item in data):
        return
    if name not in names and field not in names:
        near = get_close_matches(name, list(names), n=1)
        suggestion = f"did you mean data.{near[0]}?" if near else f"they have {', '.join(sorted(names)[:20])}."
        yield _warn(key, f"no task has data.{name}; {suggestion}")
    elif name != field and (misspelt := list(_lint_misspelt_test(key, f"data.{field}"))):
        yield from misspelt
    elif name != field:
        yield _warn(key, f"no task has data.{field}, though some have data.{name}.")
