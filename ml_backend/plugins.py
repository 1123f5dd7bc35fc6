"""One idiom for every extension point: a dict of built-ins, then entry points, looked up by name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from ml_backend.errors import UnknownName


def load(group: str, name: str, builtins: Mapping[str, str]) -> Any:
    """Import the thing called `name`: a built-in ("module:attribute") or an entry point of `group`.

    Raises UnknownName with the nearest name. Built-ins win, so that a stray package cannot replace them.

    >>> load("hitl.demo", "sqrt", {"sqrt": "math:sqrt"})(9.0)
    3.0
    """
    if name in builtins:
        module, _, attribute = builtins[name].partition(":")
        return getattr(import_module(module), attribute)
    found = {point.name: point for point in entry_points(group=group)}
    if name in found:
        return found[name].load()
    known = names(group, builtins)
    near = get_close_matches(name, known, n=1)
    guess = f"; did you mean {near[0]!r}?" if near else ""
    raise UnknownName(f"no {group} called {name!r}{guess}", hint=f"Known names: {', '.join(known) or 'none'}.")


def names(group: str, builtins: Mapping[str, str]) -> list[str]:
    """Everything that `load` finds, sorted: built-ins and what installed packages add to `group`.

    >>> names("hitl.demo", {"sqrt": "math:sqrt"})
    ['sqrt']
    """
    return sorted({*builtins, *(point.name for point in entry_points(group=group))})
