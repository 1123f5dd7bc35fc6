"""Names: everything that a policy calls by name and that is not installed here, said before it is needed."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType

from feedback import agreement, consensus
from feedback.consensus.labelling_functions import load_function
from feedback.errors import PolicyError
from feedback.policy import Policy
from feedback.policy.crowd import LabellingFunction
from feedback.policy.tiers import Tier
from ml_backend.errors import UnknownName
from ml_backend.models.hosted import hosted
from sampling import strategies
from sampling.errors import SamplingError

_HERE = "Install the package that brings it wherever hitl runs, then check again."


def unknown_names(policy: Policy) -> list[str]:
    """A sentence for each name that leads nowhere, with the nearest one that does.

    >>> from feedback.policy import read_policy
    >>> print(*unknown_names(read_policy('[consensus]\\nmethod = "dawid_skeen"')))
    consensus.method: no hitl.consensus called 'dawid_skeen'; did you mean 'dawid_skene'?
    """
    return [
        *_looked_up("consensus.method", policy.consensus.method, _method),
        *_looked_up("overlap.measure", policy.overlap.measure, agreement.measure),
        *_looked_up("sampling.strategy", policy.sampling.strategy, strategies.load),
        *(_looked_up("model.hosted", policy.model.hosted, hosted) if policy.model.hosted else ()),
        *(sentence for named in policy.labelling_functions for sentence in _function(named)),
    ]


def refuse_unknown(policy: Policy) -> None:
    """Raise PolicyError where a name leads nowhere: a project must not find out in the middle of its work."""
    if found := unknown_names(policy):
        raise PolicyError(" ".join(found), hint=_HERE)


def _method(name: str) -> object:
    return None if name == "auto" else consensus.method(name)


def _looked_up(key: str, name: str, find: Callable[[str], object]) -> Iterator[str]:
    try:
        find(name)
    except (UnknownName, SamplingError) as error:
        yield f"{key}: {error}"
    except Exception as error:  # noqa: BLE001 - a plug-in may fail in any way while it is imported
        yield f"{key}: {name!r} is installed and cannot be loaded: {type(error).__name__}: {error}"


def _function(named: LabellingFunction) -> Iterator[str]:
    try:
        load_function(named)
    except UnknownName as error:
        yield f"{error}{_nearest(named.function)}"


def _nearest(spec: str) -> str:
    """ " Did you mean ...?" for a function or a module of a similar name; "" where there is none."""
    path, _, name = spec.partition(":")
    try:
        module = import_module(path)
    except ImportError:
        near = _near(path, _siblings(path))
        return f" Did you mean {near}?" if near else ""
    except Exception:  # noqa: BLE001 - somebody else's module may fail in any way
        return ""
    named = [known for known, thing in vars(module).items() if callable(thing) and not known.startswith("_")]
    near = _near(name, named)
    return f" Did you mean {path}:{near}?" if near else ""


def _siblings(path: str) -> list[str]:
    """The modules that stand where this one was looked for."""
    parent, _, _ = path.rpartition(".")
    if not parent:
        return [one.name for one in pkgutil.iter_modules()]
    try:
        package: ModuleType = import_module(parent)
    except ImportError:
        return []
    return [f"{parent}.{one.name}" for one in pkgutil.iter_modules(getattr(package, "__path__", []))]


def _near(name: str, known: list[str]) -> str:
    return next(iter(get_close_matches(name, known, n=1)), "")


def too_short(tier: Tier, lock_ttl_s: float) -> str:
    """Why a tier's clock cannot be kept: Label Studio locks a task for longer to whoever opened it; "" where it can.

    >>> too_short(Tier(resolve="10m"), 86_400.0)
    'its clock of 10 minutes is shorter than the day for which Label Studio keeps a task locked to whoever opened it'
    """
    shortest_s = _shortest_s(tier)
    if shortest_s >= lock_ttl_s:
        return ""
    locked = f"the {_words(lock_ttl_s)}" if lock_ttl_s != 86_400 else "the day"
    return (
        f"its clock of {_words(shortest_s)} is shorter than {locked} for which Label Studio keeps a task locked "
        "to whoever opened it"
    )


def refuse_short(policy: Policy, lock_ttl_s: float) -> None:
    """PolicyError where a clock may run out on a task that nobody but its holder could open.

    >>> from feedback.policy import read_policy
    >>> refuse_short(read_policy('[tiers.L1]\\nresolve = "10m"'), 300.0)
    """
    for problem in short_clocks(policy, lock_ttl_s):
        kept_s = min(300, *map(_shortest_s, _clocked(policy).values()))
        wanted = f"TASK_LOCK_TTL={kept_s:.0f} (seconds) and hitl with HITL_LOCK_TTL_S={kept_s:.0f}"
        raise PolicyError(problem, hint=f"Start Label Studio with {wanted}, then retry.")


def short_clocks(policy: Policy, lock_ttl_s: float) -> list[str]:
    """Name every clock that may run out on a task that nobody but its holder could open, and why."""
    clocks = _clocked(policy).items()
    return [f"{name}: {problem}." for name, tier in clocks if (problem := too_short(tier, lock_ttl_s))]


def _clocked(policy: Policy) -> dict[str, Tier]:
    """Whatever may have a clock, by its key."""
    tiers = {f"tiers.{name}": tier for name, tier in policy.tiers.items()}
    return tiers | {"rights.within": Tier(resolve=policy.rights.within)}


def _shortest_s(tier: Tier) -> float:
    return min((one for one in (tier.first_action_s, tier.resolve_s) if one), default=float("inf"))


def _words(duration_s: float) -> str:
    for name, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if duration_s >= size and duration_s % size == 0:
            return f"{duration_s / size:.0f} {name}"
    return f"{duration_s:.0f} seconds"
