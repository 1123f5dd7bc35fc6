"""A policy in plain words, and which parts of a rule a task meets."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from feedback.policy.conditions import AllOf, Compare, Condition, Lookup, Not, list_parts, meets
from feedback.policy.field_types import Pattern
from feedback.policy.policy_changes import describe_other_keys, list_changes
from feedback.policy.rule_matching import NOT_CERTIFIED
from feedback.policy.rules import AUTO, HOLD, Rule, find_field
from feedback.policy.schema import Policy
from feedback.policy.tiers import Tier
from ml_backend.number_format import format_set_number, format_set_percent

_OPERATOR_TEXTS = {
    "eq": "is",
    "ne": "exists and is not",
    "gt": "is more than",
    "gte": "is at least",
    "lt": "is less than",
    "lte": "is at most",
    "in": "is one of",
    "not_in": "exists and is none of",
    "matches": "matches the pattern",
    "contains": "contains",
}
_EXPLAINED = (
    *("routing", "routing.*", "calendars.*", "reasons", "reasons.*", "tasks.key", "second_look.*", "costs.error"),
    *("rights.*", "tiers", "people.*.role", "people.*.tiers", "people.*.skills"),
    *(f"tiers.*.{key}" for key in ("title", "protocol", "panel", "min_agreement", "blind", "skills", "first_action")),
    *(f"tiers.*.{key}" for key in ("resolve", "calendar", "on_breach", "skip_means")),
    *(f"feedback.*.{key}" for key in ("title", "options", "required", "feature", "entity")),
)


@dataclass(frozen=True, slots=True)
class ClauseResult:
    """One part of a condition, evaluated for one task."""

    depth: int  # 0 for the whole condition
    text: str
    met: bool


def explain_policy(policy: Policy, controls: Collection[str] | None = None) -> list[str]:
    """Return a policy in sentences: routing, tiers, calendars, people, questions and rights.

    `controls` are the names of the controls in the project's own label config, which is that of the first tier.
    Keys that are not at their default and that no sentence is about are named at the end.
    """
    others = describe_other_keys(list_changes(Policy(), policy), _EXPLAINED)
    return [
        *_routing(policy),
        *_tiers(policy),
        *_calendars_and_people(policy),
        *_questions(policy, controls),
        *_second_look(policy),
        _rights(policy),
        *([f"Also set, and not put into words here: {others}."] if others else []),
    ]


def evaluate_clauses(condition: Condition, policy: Policy, get: Lookup, *, depth: int = 0) -> list[ClauseResult]:
    """Evaluate every part of a condition for one task; the first result is the whole condition."""
    if isinstance(condition, Compare):
        value = get(condition.field)
        actual = "is missing" if value is None else f"is {value!r:.60}"
        text = f"{_compare(condition, policy)} ({actual})"
    else:
        text = "not" if isinstance(condition, Not) else "all of" if isinstance(condition, AllOf) else "any of"
    results = [ClauseResult(depth, text, meets(condition, get))]
    for part in list_parts(condition):
        results += evaluate_clauses(part, policy, get, depth=depth + 1)
    return results


def condition_text(condition: Condition, policy: Policy) -> str:
    """Return a condition as one phrase.

    >>> condition_text(Compare("model.confidence", "gte", 0.9), Policy())
    'model.confidence is at least 0.9'
    """
    if isinstance(condition, Compare):
        return _compare(condition, policy)
    if isinstance(condition, Not):
        return f"not ({condition_text(condition.part, policy)})"
    parts = [condition_text(part, policy) for part in condition.parts]
    joined = (" and " if isinstance(condition, AllOf) else " or ").join(
        text if isinstance(part, (Compare, Not)) or len(parts) == 1 else f"({text})"
        for text, part in zip(parts, condition.parts, strict=True)
    )
    return joined or "always"


def format_duration(seconds: float) -> str:
    """Return a number of seconds in the units of the policy file.

    >>> format_duration(5400.0), format_duration(0.0)
    ('1h30m', '0s')
    """
    rest, text = int(seconds), ""
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _routing(policy: Policy) -> Iterator[str]:
    if not policy.routing:
        yield f"Every task goes to {policy.first_tier}: there are no routing rules."
    for number, (rule, condition) in enumerate(zip(policy.routing, policy.conditions(), strict=True), start=1):
        when = f"where {condition_text(condition, policy)}" if rule.when else "all others"
        yield f"Rule {number}, {rule.id}: {when}: {_action(rule, policy)}"
    if policy.routing:
        yield (
            f"Audit and gold tasks: {policy.first_tier} answers them blind and in their own order, whatever the rules "
            "say. A later tier that a rule names gets an audit task after that, and decides blind."
        )


def _action(rule: Rule, policy: Policy) -> str:
    if rule.to == AUTO:
        tier = rule.tier or policy.first_tier
        action = f"the model's answer is taken; refused for now ({NOT_CERTIFIED}), so people in {tier} decide"
    elif rule.to == HOLD:
        action = "no person gets the task until another rule applies"
    else:
        action = f"people in {rule.to} decide"
    options = [
        f"{rule.priority} priority" if rule.priority != "normal" else "",
        f"queue {rule.queue}" if rule.queue != "default" else "",
        f"{rule.overlap} people" if rule.overlap else "",
        f"not before {rule.hold} after the import" if rule.hold else "",
        f"needs {', '.join(rule.skills)}" if rule.skills else "",
    ]
    text = ", ".join([action, *filter(None, options)])
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
        how = {"single": "one person decides", "two-reader": "two people answer separately, a third decides"}
        yield how.get(
            tier.protocol, f"a panel of {tier.panel} votes, more than {format_set_percent(tier.min_agreement)} decide"
        )
        if tier.blind:
            yield "blind: reviewers do not see the model's answer and earlier votes"
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
            "escalate": f"escalates to {after}" if after else "is only notified",
            "reassign": "is only notified" if first else "goes to another person",
        }
        yield f"a breach {breach.get(tier.on_breach, 'is only notified')}"
    skip = {"escalate": "escalates", "requeue": "gives it to others", "ignore": "means nothing"}
    yield f"a skip {skip[tier.skip_means]}"


def _calendars_and_people(policy: Policy) -> Iterator[str]:
    for name, calendar in policy.calendars.items():
        free = f", except on {', '.join(calendar.holidays)}" if calendar.holidays else ""
        hours = f"{', '.join(calendar.days)} {', '.join(calendar.hours)} in {calendar.timezone}"
        yield f"The hours of {name}: {hours}{free}."
    for email, person in policy.people.items():
        skills = f", with {', '.join(person.skills)}" if person.skills else ""
        yield f"{email} ({person.role}) answers in {', '.join(policy.tiers_of(person))}{skills}."
    if policy.people:
        yield f"People who are not listed answer in {policy.first_tier} only, and have no skills."


def _asked_in(name: str, policy: Policy, controls: Collection[str] | None) -> str:
    """Return in which tiers a question is really asked."""
    later = ", ".join([tier for tier in policy.tiers if tier != policy.first_tier])
    reviewers = f"It is asked in {later}" if later else "No tier has reviewers"
    if controls is not None and name in controls:
        return f"{reviewers}; in {policy.first_tier} the control {name} of the label config asks it."
    add = "`hitl policy activate PROJECT FILE --add-questions` adds it"
    if controls is not None:
        return f"{reviewers}; it is not asked in {policy.first_tier}, whose label config has no control {name}: {add}."
    return f"{reviewers}; in {policy.first_tier} only where the project's label config has a control {name}: {add}."


def _questions(policy: Policy, controls: Collection[str] | None) -> Iterator[str]:
    if len(policy.tiers) > 1:
        titles = "; ".join(title or code for code, title in policy.reasons.items())
        yield f"A reviewer who does not accept the proposed answer gives a reason: {titles}."
    for name, question in policy.feedback.items():
        required = "is required" if question.required else "is optional"
        options = f": {', '.join(question.options)}" if question.options else ""
        yield f'Reviewers also answer "{question.title or name}", which {required}{options}.'
        yield f"  {_asked_in(name, policy, controls)}"
        if question.feature:
            yield (
                f"  The answer is an indicator of the task's {question.entity}: the model reads it with every other "
                "task that has the same value, and learns from it only as it was recorded at each task's time."
            )
    if policy.tasks.key:
        yield f"Signals may name a task by its {policy.tasks.key}."


def _second_look(policy: Policy) -> Iterator[str]:
    if policy.second_look.share and len(policy.tiers) > 1:
        yield f"{format_set_percent(policy.second_look.share)} of human decisions are repeated blind by another person."
    if policy.second_look.honeypots:
        yield f"{format_set_percent(policy.second_look.honeypots)} of the review tasks have a known answer."
    if policy.costs.error is not None:
        yield f"A wrong answer that nobody reviewed costs {format_set_number(policy.costs.error)}."


def _rights(policy: Policy) -> str:
    if policy.rights.human_review == "never":
        return "Human review of automated decisions is not offered: the decisions are about no person."
    within = f", within {policy.rights.within}" if policy.rights.within else ""
    always = ' "always" starts no review without a request.' if policy.rights.human_review == "always" else ""
    return f"A person affected by an automated decision gets a human review on request{within}.{always}"


def _compare(test: Compare, policy: Policy) -> str:
    if test.operator == "exists":
        return f"{test.field} is {'present' if test.operand else 'missing'}"
    if test.field == "time.within":
        return f"it is in the hours of {test.operand}"
    is_time = find_field(test.field, policy.all_signals).kind == "duration"
    return f"{test.field} {_OPERATOR_TEXTS[test.operator]} {_operand(test.operand, is_time=is_time)}"


def _operand(operand: Any, *, is_time: bool) -> str:
    if isinstance(operand, tuple):
        shown = ", ".join(_operand(value, is_time=is_time) for value in operand[:10])
        return f"{shown}, … ({len(operand)})" if len(operand) > 10 else shown
    if isinstance(operand, Pattern):
        return f'"{operand.text}"'
    if isinstance(operand, bool):
        return "true" if operand else "false"
    return (
        format_duration(operand)
        if is_time
        else f'"{operand}"'
        if isinstance(operand, str)
        else format_set_number(operand)
    )
