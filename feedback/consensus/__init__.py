"""What people say together: `Votes` in, `Consensus` out, one method a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from feedback.consensus.dawid_skene import dawid_skene, hierarchical
from feedback.consensus.majority_vote import majority
from feedback.consensus.model_selection import Choice, auto
from feedback.consensus.one_coin import one_coin, weighted
from feedback.consensus.result import Consensus
from feedback.votes import Votes
from ml_backend import plugins

__all__ = [
    "BUILTINS",
    "Choice",
    "Consensus",
    "Votes",
    "auto",
    "dawid_skene",
    "hierarchical",
    "load_method",
    "majority",
    "one_coin",
    "plugin_names",
    "weighted",
]

# Votes in, Consensus out; more through the entry-point group "hitl.consensus"
BUILTINS: Mapping[str, str] = {
    "majority": "feedback.consensus.majority_vote:majority",
    "dawid_skene": "feedback.consensus.dawid_skene:dawid_skene",
    "hierarchical": "feedback.consensus.dawid_skene:hierarchical",
    "one_coin": "feedback.consensus.one_coin:one_coin",
    "weighted": "feedback.consensus.one_coin:weighted",
}


def plugin_names() -> list[str]:
    """The methods that installed packages add to ours."""
    return [name for name in plugins.names("hitl.consensus", BUILTINS) if name not in BUILTINS]


def load_method(name: str) -> Callable[[Votes], Consensus]:
    """Find a method of consensus by name; UnknownName with the nearest one where there is none.

    >>> load_method("majority") is majority
    True
    """
    found: Callable[[Votes], Consensus] = plugins.load("hitl.consensus", name, BUILTINS)
    return found
