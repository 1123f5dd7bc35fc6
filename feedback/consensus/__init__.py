"""Methods of consensus: each takes `Votes` and returns a `Consensus`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from feedback.consensus.consensus import Consensus
from feedback.consensus.dawid_skene import dawid_skene, hierarchical_dawid_skene
from feedback.consensus.majority_vote import majority_vote
from feedback.consensus.method_selection import MethodSelection, select_method
from feedback.consensus.one_coin import one_coin_dawid_skene
from feedback.consensus.weighted_vote import weighted_vote
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
BUILTINS: Mapping[str, str] = {
    "majority": "feedback.consensus.majority_vote:majority_vote",
    "dawid_skene": "feedback.consensus.dawid_skene:dawid_skene",
    "hierarchical": "feedback.consensus.dawid_skene:hierarchical_dawid_skene",
    "one_coin": "feedback.consensus.one_coin:one_coin_dawid_skene",
    "weighted": "feedback.consensus.weighted_vote:weighted_vote",
}


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
