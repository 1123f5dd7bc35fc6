"""What spoke for an answer: the parts of a task that a linear model weighed, each with its share of the odds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Contribution:
    """One part of a task, and how far it moved the log-odds of the answer against the next best one."""

    what: str  # a word, a part of the image, or "fraud_type = card"
    weight: float  # > 0 spoke for the answer; about 0.7 doubles the odds


@runtime_checkable
class ExplainableModel(Protocol):
    """A model whose answers are sums: the weights of all reasons and of the start make up the log-odds exactly."""

    def explain(self, item: Mapping[str, Any], answer: str, other: str) -> list[Contribution]:
        """Every part of a task that moved the model between two classes; [] for a task that cannot be read."""
        ...


def strongest_contributions(
    reasons: Iterable[Contribution], *, most: int = 6, least: float = 0.05
) -> list[Contribution]:
    """The few parts that moved the answer most, whichever way, the strongest first; what hardly counts is left out.

    >>> strongest_contributions([Contribution("the", 0.01), Contribution("prize", 0.9), Contribution("lunch", -1.2)])
    [Reason(what='lunch', weight=-1.2), Reason(what='prize', weight=0.9)]
    """
    told = [one for one in reasons if abs(one.weight) >= least]
    return sorted(told, key=lambda one: (-abs(one.weight), one.what))[:most]


def sum_by_name(parts: Iterable[tuple[str, float]]) -> list[Contribution]:
    """One reason for each name, in the order in which they first came."""
    total: dict[str, float] = {}
    for what, weight in parts:
        total[what] = total.get(what, 0.0) + weight
    return [Contribution(what, weight) for what, weight in total.items()]
