"""How far people agree, corrected for chance, with an interval: `Votes` in, `Coefficient` out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from feedback.agreement.chance_corrected import brennan_prediger, fleiss, gwet, percent, scott
from feedback.agreement.coefficient import Coefficient
from feedback.agreement.cohen_kappa import cohen
from feedback.agreement.conger_kappa import conger
from feedback.agreement.intraclass_correlation import icc
from feedback.agreement.krippendorff_alpha import alpha
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
    "percent": "feedback.agreement.chance_corrected:percent",
    "alpha": "feedback.agreement.krippendorff_alpha:alpha",
    "ac1": "feedback.agreement.chance_corrected:gwet",
    "fleiss": "feedback.agreement.chance_corrected:fleiss",
    "cohen": "feedback.agreement.cohen_kappa:cohen",
    "conger": "feedback.agreement.conger_kappa:conger",
    "brennan_prediger": "feedback.agreement.chance_corrected:brennan_prediger",
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
