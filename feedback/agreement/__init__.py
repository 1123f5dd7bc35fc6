"""Measures of agreement between people, with intervals: each takes `Votes` and returns a `Coefficient`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from feedback.agreement.chance_corrected import (
    brennan_prediger,
    conger_kappa,
    fleiss_kappa,
    gwet_ac1,
    percent_agreement,
)
from feedback.agreement.coefficient import Coefficient
from feedback.agreement.cohen_kappa import cohen_kappa
from feedback.agreement.intraclass_correlation import intraclass_correlation
from feedback.agreement.krippendorff_alpha import krippendorff_alpha
from feedback.votes import Votes
from ml_backend import plugins

__all__ = [
    "BUILTINS",
    "Coefficient",
    "Votes",
    "brennan_prediger",
    "cohen_kappa",
    "conger_kappa",
    "fleiss_kappa",
    "gwet_ac1",
    "intraclass_correlation",
    "krippendorff_alpha",
    "load_measure",
    "percent_agreement",
    "plugin_names",
]

# installed packages add more through the entry-point group "hitl.agreement"
BUILTINS: Mapping[str, str] = {
    "percent": "feedback.agreement.chance_corrected:percent_agreement",
    "alpha": "feedback.agreement.krippendorff_alpha:krippendorff_alpha",
    "ac1": "feedback.agreement.chance_corrected:gwet_ac1",
    "fleiss": "feedback.agreement.chance_corrected:fleiss_kappa",
    "cohen": "feedback.agreement.cohen_kappa:cohen_kappa",
    "conger": "feedback.agreement.chance_corrected:conger_kappa",
    "brennan_prediger": "feedback.agreement.chance_corrected:brennan_prediger",
}


def plugin_names() -> list[str]:
    """Return the names of the measures that installed packages add to the built-in ones."""
    return [name for name in plugins.names("hitl.agreement", BUILTINS) if name not in BUILTINS]


def load_measure(name: str) -> Callable[..., Coefficient]:
    """Return the measure of agreement of this name, which takes votes; UnknownName where there is none.

    >>> load_measure("alpha") is krippendorff_alpha
    True
    """
    found: Callable[..., Coefficient] = plugins.load("hitl.agreement", name, BUILTINS)
    return found
