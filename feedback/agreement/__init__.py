"""How far people agree, corrected for chance, with an interval: `Votes` in, `Coefficient` out."""

from __future__ import annotations

from collections.abc import Mapping

from feedback.agreement.chance import brennan_prediger, fleiss, gwet, percent, scott
from feedback.agreement.coefficient import Coefficient
from feedback.agreement.cohen import cohen
from feedback.votes import Votes

__all__ = ["Coefficient", "Votes", "brennan_prediger", "cohen", "fleiss", "gwet", "percent", "scott"]

BUILTINS: Mapping[str, str] = {}
