"""How far people agree, corrected for chance, with an interval: `Votes` in, `Coefficient` out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from feedback.agreement.chance import brennan_prediger, fleiss, gwet, percent, scott
from feedback.agreement.coefficient import Coefficient
from feedback.agreement.cohen import cohen
from feedback.agreement.conger import conger
from feedback.agreement.icc import icc
from feedback.agreement.krippendorff import alpha
from feedback.votes import Votes
from ml_backend import plugins

__all__ = [
    "BUILTINS",
    "Coefficient",
    "Votes",
    "alpha",
    "brennan_prediger",
    "cohen",
    "conger",
    "fleiss",
    "gwet",
    "icc",
    "measure",
    "percent",
    "plugged_in",
    "scott",
]

# Votes in, Coefficient out; more through the entry-point group "hitl.agreement"
BUILTINS: Mapping[str, str] = {
    "percent": "feedback.agreement.chance:percent",
    "alpha": "feedback.agreement.krippendorff:alpha",
    "ac1": "feedback.agreement.chance:gwet",
    "fleiss": "feedback.agreement.chance:fleiss",
    "cohen": "feedback.agreement.cohen:cohen",
    "conger": "feedback.agreement.conger:conger",
    "brennan_prediger": "feedback.agreement.chance:brennan_prediger",
}


def plugged_in() -> list[str]:
    """The measures that installed packages add to ours."""
    return [name for name in plugins.names("hitl.agreement", BUILTINS) if name not in BUILTINS]


def measure(name: str) -> Callable[[Votes], Coefficient]:
    """Find a measure of agreement by name; UnknownName with the nearest one where there is none.

    >>> measure("alpha") is alpha
    True
    """
    found: Callable[[Votes], Coefficient] = plugins.load("hitl.agreement", name, BUILTINS)
    return found
