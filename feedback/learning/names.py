"""Names: everything that a policy calls by name and that is not installed here, said before it is needed."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType

from feedback import agreement, consensus
from feedback.errors import PolicyError
from feedback.learning.rules_of_thumb import load_function
from feedback.policy import Policy
from feedback.policy.opinions import LabellingFunction
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
