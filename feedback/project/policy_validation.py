"""Policy validation: every error and warning of a policy: its names, clocks, rules, tiers, labels and task fields."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib.metadata import entry_points
from itertools import starmap
from typing import Any, Literal

from feedback import agreement, consensus
from feedback.consensus.labelling_functions import load_function
from feedback.errors import PolicyError
from feedback.policy import Policy
from feedback.policy.before_first_model import describe_before_first_model
from feedback.policy.conditions import Compare, Condition, list_tests
from feedback.policy.explain import condition_text, format_duration
from feedback.policy.field_types import parse_duration_s
from feedback.policy.key_positions import KeyPositions
from feedback.policy.reader_counts import check_reader_counts
from feedback.policy.rule_matching import NOT_CERTIFIED, make_data_reader
from feedback.policy.rules import AUTO, HOLD, OPERATORS
from feedback.policy.satisfiability import find_contradiction, implies
from feedback.policy.schema import LabellingFunction
from feedback.policy.tiers import ADMIN_ROLES, Person, Tier
from feedback.project.code_reading import NotReadable, check_function, check_hosted_model
from feedback.store import ProjectRow
from ml_backend.errors import LabelConfigError, UnknownName
from ml_backend.features.task_columns import FieldRule, list_fields
from ml_backend.label_config import Control, read_label_config
from ml_backend.models import DEFAULT_FEATURES, recipe_for
from ml_backend.models.hosted import hosted
from sampling import strategies
from sampling.errors import SamplingError

_INSTALL = "Install the package that provides it on every host of hitl, then check again."


@dataclass(frozen=True, slots=True)
class PolicyFinding:
    """One thing that is wrong, or may surprise, in a policy. With an error the policy cannot be activated."""

    level: Literal["error", "warning"]
    key: str  # of hitl.toml: "routing.big", "tiers.L1", ...
    sentence: str
    hint: str = ""  # what to do next
    place: str = ""  # "line 3, column 1" of the file; "" where the key is not in it

    def __str__(self) -> str:
        """Return place, key and sentence."""
        return f"{self.place}{': ' if self.place else ''}{self.key}: {self.sentence}"


def validate_policy(
    policy: Policy,
    *,
    lock_ttl_s: float,
    project: ProjectRow | None = None,
    data: Collection[Mapping[str, Any]] | None = None,
    users: Collection[str] | None = None,
    run: bool = True,
) -> list[PolicyFinding]:
    """Return everything that is wrong, or may surprise, in a policy; errors first.

    Parameters
    ----------
    policy
        A policy whose file was read without error (`feedback.policy.read_policy`).
    lock_ttl_s
        Label Studio's TASK_LOCK_TTL: for so long it keeps a task locked to the person who opened it.
    project
        The project that the policy is for. With it, labels are checked, and a clock shorter than the lock is an error;
        without it, such a clock is a warning.
    data
        The data of the project's tasks, in which every task field of the policy is looked for; None: not checked.
    users
        The addresses of the users of Label Studio, of whom all may answer where [people] lists nobody; None: unknown.
    run
        Whether to import the hosted model, labelling functions and plug-ins that the policy names, with the rights of
        this process. Without it their source is read, and what only running would show is a warning.
    """
    names = list(_check_names(policy, run=run))
    if project is None:
        clocks = [replace(finding, level="warning") for finding in check_clocks(policy, lock_ttl_s)]
        return [*names, *lint_policy(policy, users=users), *clocks]
    try:
        control = read_label_config(project.label_config).control(policy.model.control)
    except LabelConfigError as error:
        names.append(PolicyFinding("error", "model.control", str(error), error.hint))
        return [*names, *check_clocks(policy, lock_ttl_s), *lint_policy(policy, data=data, users=users)]
    names += _check_features(policy, control)
    if not FieldRule(without=policy.model.without_fields).allows(control.field):
        what = f"{control.name!r} is about the field {control.field!r}, which its model has to read."
        hint = "Leave it out of without_fields, or set control in [model] to another one."
        names.append(PolicyFinding("error", "model.without_fields", what, hint))
    labels = None if control.options else control.labels  # each task brings its own
    warnings = lint_policy(policy, labels=labels, data=data, control=control.name, users=users)
    return [*names, *check_clocks(policy, lock_ttl_s), *warnings]


def raise_policy_errors(findings: Iterable[PolicyFinding]) -> None:
    """Raise PolicyError with all errors among the findings; return where there are none."""
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        hints = dict.fromkeys(error.hint for error in errors if error.hint)
        raise PolicyError(" ".join(map(str, errors)), hint=" ".join(hints))


def locate_findings(findings: Iterable[PolicyFinding], positions: KeyPositions | None) -> list[PolicyFinding]:
    """Return the findings with the place of their key in the policy file."""
    if positions is None:
        return list(findings)
    paths = [(finding, positions.find(finding.key)) for finding in findings]
    return [replace(finding, place=positions.describe(path)) if path else finding for finding, path in paths]


def check_clocks(policy: Policy, lock_ttl_s: float) -> list[PolicyFinding]:
    """Return an error for each clock shorter than the task lock: no other person could open the task in time.

    Examples
    --------
    >>> from feedback.policy import read_policy
    >>> policy = read_policy('[tiers.L1]\\nresolve = "10m"')
    >>> check_clocks(policy, 300.0)
    []
    >>> print(*check_clocks(policy, 86_400.0))
    tiers.L1: its clock of 10m is shorter than the 1d for which Label Studio locks an opened task.
    """
    clocks: dict[str, tuple[float, ...]] = {
        f"tiers.{name}": (tier.first_action_s, tier.resolve_s) for name, tier in policy.tiers.items()
    }
    clocks["rights.within"] = (parse_duration_s(policy.rights.within),)
    shortest_s = {key: min(filter(None, times_s), default=math.inf) for key, times_s in clocks.items()}
    ttl_s = min(300, *shortest_s.values())
    settings = f"TASK_LOCK_TTL={ttl_s:.0f} (seconds) and hitl with HITL_LOCK_TTL_S={ttl_s:.0f}"
    hint = f"Start Label Studio with {settings}, then retry."
    return [
        PolicyFinding(
            "error",
            key,
            f"its clock of {format_duration(clock_s)} is shorter than the {format_duration(lock_ttl_s)} for which "
            "Label Studio locks an opened task.",
            hint,
        )
        for key, clock_s in shortest_s.items()
        if clock_s < lock_ttl_s
    ]


def _check_names(policy: Policy, *, run: bool) -> Iterator[PolicyFinding]:
    """Find names of methods and plug-ins that are not installed: the project would stop in the middle of its work."""
    plugins: tuple[tuple[str, str, Callable[[str], object], str, Collection[str]], ...] = (
        ("consensus.method", policy.consensus.method, _find_method, "hitl.consensus", {*consensus.BUILTINS, "auto"}),
        ("overlap.measure", policy.overlap.measure, agreement.load_measure, "hitl.agreement", agreement.BUILTINS),
        ("sampling.strategy", policy.sampling.strategy, strategies.load, "hitl.strategies", strategies.BUILTINS),
    )
    for key, name, load, group, builtins in plugins:
        point = None if run or name in builtins else next(iter(entry_points(group=group, name=name)), None)
        if point is None:
            yield from _check_name(key, name, load)
        else:
            yield from _check_code(key, f"{point.module}:{point.attr.partition('.')[0]}", check_function)
    if policy.model.hosted:
        check = _check_name if run else _check_code
        yield from check("model.hosted", policy.model.hosted, hosted if run else check_hosted_model)
    for function in policy.labelling_functions:
        yield from _check_function(function, run=run)


def _check_features(policy: Policy, control: Control) -> Iterator[PolicyFinding]:
    """Find features that the model of this control does not have, or whose package is not installed."""
    if policy.model.features == DEFAULT_FEATURES:
        return
    try:
        recipe_for(control, features=policy.model.features)
    except UnknownName as error:
        yield PolicyFinding("error", "model.features", str(error), error.hint)


def _check_code(key: str, name: str, read: Callable[[str], object]) -> Iterator[PolicyFinding]:
    """Check other people's code by reading it; say where only running it would show more."""
    try:
        read(name)
    except UnknownName as error:
        yield PolicyFinding("error", key, str(error), _INSTALL)
    except NotReadable as error:
        sentence = f"{name!r} was not run, and reading it does not show that it is right: {error}."
        yield PolicyFinding(
            "warning", key, sentence, "`hitl policy check --run` runs it, with the rights of this user."
        )


def _find_method(name: str) -> object:
    return None if name == "auto" else consensus.load_method(name)


def _check_name(key: str, name: str, find: Callable[[str], object]) -> Iterator[PolicyFinding]:
    try:
        find(name)
    except (UnknownName, SamplingError) as error:
        yield PolicyFinding("error", key, str(error), _INSTALL)
    except Exception as error:  # noqa: BLE001 - a plug-in may fail in any way while it is imported
        sentence = f"{name!r} is installed and cannot be loaded: {type(error).__name__}: {error}"
        yield PolicyFinding("error", key, sentence, _INSTALL)


def _check_function(function: LabellingFunction, *, run: bool) -> Iterator[PolicyFinding]:
    key = f"labelling_functions.{function.name}"
    read = list(_check_code(key, function.function, check_function))
    if not run:
        yield from read
        return
    try:
        load_function(function)
    except UnknownName as error:
        near = next((text for finding in read if (text := finding.sentence.partition(" Did you mean")[2])), "")
        yield PolicyFinding("error", key, f"{error}{f' Did you mean{near}' if near else ''}", _INSTALL)


def lint_policy(
    policy: Policy,
    *,
    labels: Collection[str] | None = None,
    data: Collection[Mapping[str, Any]] | None = None,
    control: str = "",
    users: Collection[str] | None = None,
) -> list[PolicyFinding]:
    """Return warnings about everything that is allowed and may surprise.

    `labels`, `control` and the task `data` are those of the project that the policy is for, `users` the addresses of
    the users of Label Studio; None or "" where they are not known.
    """
    found = [*_lint_outcomes(policy), *_lint_order(policy), *_lint_tiers(policy), *_lint_skills(policy)]
    found += starmap(_warn, describe_before_first_model(policy, data))
    found += starmap(_warn, check_reader_counts(policy, users))
    later_tiers = list(policy.tiers.values())[1:]
    others_are_blind = policy.second_look.share or policy.audit.share != 0.0 or all(tier.blind for tier in later_tiers)
    if policy.audit.share == 0.0:
        found.append(_warn("audit.share", "no task is drawn to judge models, so no first model will ever be promoted."))
    if policy.second_look.honeypots and not others_are_blind:
        found.append(
            _warn("second_look.honeypots", "only honeypots show reviewers nothing. Set second_look.share as well.")
        )
    if control in policy.feedback:
        found.append(_warn(f"feedback.{control}", "the model learns this control, so its answers are no feedback."))
    if data is not None:
        found += _lint_model_fields(policy, data)
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


def check_token_owner(policy: Policy, email: str) -> list[PolicyFinding]:
    """Return a warning where the policy takes our pages from the user whose access token the service has.

    Without an admin or approver in [people], that user is the admin; as soon as one is listed, their own entry counts.

    >>> from feedback.policy import read_policy
    >>> policy = read_policy('[people."ann@example.com"]\\nrole = "approver"')
    >>> print(*check_token_owner(policy, "ben@example.com"))
    people: it lists an admin or approver and not ben@example.com, so that this user no longer sees the project's pages.
    """
    person = policy.person(email)
    if not any(listed.role in ADMIN_ROLES for listed in policy.people.values()):
        return []
    if person is None:
        what = f"it lists an admin or approver and not {email}, so that this user no longer sees the project's pages."
    elif person.role not in ADMIN_ROLES:
        what = f"it lists an admin or approver, and {email} with another role, who may only view the project's pages."
    else:
        return []
    hint = f'The access token of the service is theirs: write role = "admin" in [people."{email}"] if they manage it.'
    return [PolicyFinding("warning", "people", what, hint)]


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
    for name, tier in policy.tiers.items():
        key, people = f"tiers.{name}", policy.people_in(name)
        if policy.people and name != policy.first_tier and not people:
            yield _warn(key, "nobody in [people] may answer in this tier.")
        if tier.skills and people and not _anybody_has(tier.skills, people):
            yield _warn(key, f"nobody in this tier has the skills {', '.join(tier.skills)}.")
        if tier.on_breach == "escalate" and policy.tier_after(name) is None and (tier.resolve or tier.first_action):
            yield _warn(key, "a breach escalates, but there is no tier after this one.")
        if name == policy.first_tier:
            yield from _lint_first_tier(key, tier)
        if tier.resolve and tier.resolve_s < tier.first_action_s:
            yield _warn(key, f"resolve ({tier.resolve}) is shorter than first_action ({tier.first_action}).")


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
        if rule.skills and policy.people and not _anybody_has(rule.skills, policy.people_in(tier)):
            yield _warn(key, f"nobody in {tier} has the skills {skills}, so no answer will count.")
        if rule.skills and not policy.people:
            yield _warn(key, f"needs the skills {skills}, but without [people] no skills are checked.")


def _anybody_has(skills: Collection[str], people: Iterable[Person]) -> bool:
    return any(set(skills) <= set(person.skills) for person in people)


def _operands(test: Compare) -> tuple[Any, ...]:
    return test.operand if isinstance(test.operand, tuple) else (test.operand,)


def _lint_labels(key: str, test: Compare, labels: Collection[str]) -> Iterator[PolicyFinding]:
    for label in _operands(test):
        if isinstance(label, str) and test.operator in ("eq", "ne", "in", "not_in") and label not in labels:
            near = get_close_matches(label, list(labels), n=1)
            suggestion = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(labels)}."
            if not labels:
                suggestion = "the control that is learned has no labels, so this test is never true."
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


def _lint_model_fields(policy: Policy, data: Collection[Mapping[str, Any]]) -> Iterator[PolicyFinding]:
    """Find names of fields to read, or never to read, that no task has."""
    paths = {path for item in data for path, _ in list_fields(item)}
    for key, names in (("fields", policy.model.fields or ()), ("without_fields", policy.model.without_fields)):
        for name in names:
            if paths and not any(map(FieldRule(only=(name,)).allows, paths)):
                near = get_close_matches(name, sorted(paths), n=1)
                suggestion = f"did you mean {near[0]!r}?" if near else f"they have {', '.join(sorted(paths)[:20])}."
                yield _warn(f"model.{key}", f"no task has the field {name!r}; {suggestion}")


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
