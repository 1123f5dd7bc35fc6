"""Methods of consensus: each takes `Votes` and returns a `Consensus`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from feedback.consensus.consensus import Consensus
from feedback.consensus.dawid_skene import dawid_skene, hierarchical_dawid_skene, one_coin_dawid_skene
from feedback.consensus.majority_vote import majority_vote, weighted_vote
from feedback.consensus.method_selection import METHODS, MethodSelection, select_method
from feedback.votes import Votes
from ml_backend import plugins

__all__ = [
    "BUILTINS",
    "Consensus",
    "MethodSelection",
    "Votes",
    "dawid_skene",
    "hierarchical_dawid_skene",
    "load_method",
    "majority_vote",
    "one_coin_dawid_skene",
    "plugin_names",
    "select_method",
    "weighted_vote",
]

# installed packages add more through the entry-point group "hitl.consensus"
BUILTINS: Mapping[str, str] = {name: f"{method.__module__}:{method.__name__}" for name, method in METHODS.items()}


def plugin_names() -> list[str]:
    """Return the names of the methods that installed packages add to the built-in ones."""
    return [name for name in plugins.names("hitl.consensus", BUILTINS) if name not in BUILTINS]


def load_method(name: str) -> Callable[[Votes], Consensus]:
    """Return the method of consensus of this name; UnknownName with the nearest name where there is none.

    >>> load_method("majority") is majority_vote
    True
    """
    found: Callable[[Votes], Consensus] = plugins.load("hitl.consensus", name, BUILTINS)
    return found
