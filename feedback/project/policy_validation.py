"""Policy validation: every error and warning of a policy, for a project if given."""

from __future__ import annotations

import math
import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType
from typing import Any

from feedback import agreement, consensus
from feedback.consensus.labelling_functions import load_function
from feedback.errors import PolicyError
from feedback.policy import Policy
from feedback.policy.field_types import parse_duration_s
from feedback.policy.lint import PolicyFinding, lint_policy
from feedback.policy.schema import LabellingFunction
from feedback.store import ProjectRow
from ml_backend.errors import UnknownName
from ml_backend.label_config import read_label_config
from ml_backend.models.hosted import hosted
from sampling import strategies
from sampling.errors import SamplingError

_INSTALL = "Install the package that provides it on every host of hitl, then check again."


def validate_policy(
    policy: Policy,
    *,
    lock_ttl_s: float,
    project: ProjectRow | None = None,
    data: Collection[Mapping[str, Any]] | None = None,
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

    Raises
    ------
    LabelConfigError
        When the label config of the project cannot be read.
    """
    names = list(_check_names(policy))
    if project is None:
        clocks = [replace(finding, level="warning") for finding in check_clocks(policy, lock_ttl_s)]
        return [*names, *lint_policy(policy), *clocks]
    control = read_label_config(project.label_config).control(policy.model.control)
    warnings = lint_policy(policy, labels=control.labels, data=data, control=control.name)
    return [*names, *check_clocks(policy, lock_ttl_s), *warnings]


def raise_policy_errors(findings: Iterable[PolicyFinding]) -> None:
    """Raise PolicyError with all errors among the findings; return where there are none."""
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        hints = dict.fromkeys(error.hint for error in errors if error.hint)
        raise PolicyError(" ".join(map(str, errors)), hint=" ".join(hints))


def check_clocks(policy: Policy, lock_ttl_s: float) -> list[PolicyFinding]:
    """Return an error for each clock shorter than the task lock: no other person could open the task in time.

    Examples
    --------
    >>> from feedback.policy import read_policy
    >>> policy = read_policy('[tiers.L1]\\nresolve = "10m"')
    >>> check_clocks(policy, 300.0)
    []
    >>> print(*check_clocks(policy, 86_400.0))
    tiers.L1: its clock of 10 minutes is shorter than the 1 day for which Label Studio locks an opened task.
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
            f"its clock of {_duration_text(clock_s)} is shorter than the {_duration_text(lock_ttl_s)} for which "
            "Label Studio locks an opened task.",
            hint,
        )
        for key, clock_s in shortest_s.items()
        if clock_s < lock_ttl_s
    ]


def _check_names(policy: Policy) -> Iterator[PolicyFinding]:
    """Find names of methods and plug-ins that are not installed: the project would stop in the middle of its work."""
    yield from _check_name("consensus.method", policy.consensus.method, _find_method)
    yield from _check_name("overlap.measure", policy.overlap.measure, agreement.load_measure)
    yield from _check_name("sampling.strategy", policy.sampling.strategy, strategies.load)
    if policy.model.hosted:
        yield from _check_name("model.hosted", policy.model.hosted, hosted)
    for function in policy.labelling_functions:
        yield from _check_function(function)


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


def _check_function(function: LabellingFunction) -> Iterator[PolicyFinding]:
    try:
        load_function(function)
    except UnknownName as error:
        sentence = f"{error}{_suggest_function(function.function)}"
        yield PolicyFinding("error", f"labelling_functions.{function.name}", sentence, _INSTALL)


def _suggest_function(spec: str) -> str:
    """Return " Did you mean ...?" for a function or module with a similar name; "" where there is none."""
    path, _, name = spec.partition(":")
    try:
        module = import_module(path)
    except ImportError:
        near = _nearest(path, _list_siblings(path))
        return f" Did you mean {near}?" if near else ""
    except Exception:  # noqa: BLE001 - a foreign module may fail in any way
        return ""
    functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    near = _nearest(name, functions)
    return f" Did you mean {path}:{near}?" if near else ""


def _list_siblings(path: str) -> list[str]:
    """Return the modules in the package in which this module was looked for."""
    parent, _, _ = path.rpartition(".")
    if not parent:
        return [module.name for module in pkgutil.iter_modules()]
    try:
        package: ModuleType = import_module(parent)
    except ImportError:
        return []
    return [f"{parent}.{module.name}" for module in pkgutil.iter_modules(getattr(package, "__path__", []))]


def _nearest(name: str, candidates: list[str]) -> str:
    return next(iter(get_close_matches(name, candidates, n=1)), "")


def _duration_text(duration_s: float) -> str:
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if duration_s >= size and duration_s % size == 0:
            return f"{duration_s / size:.0f} {unit}{'s' if duration_s > size else ''}"
    return f"{duration_s:.0f} seconds"
