"""What spoke for an answer: the parts of a task that a linear model weighed, each with its share of the odds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class Reason:
    """One part of a task, and how far it moved the log-odds of the answer against the next best one."""

    what: str  # a word, a part of the image, or "fraud_type = card"
    weight: float  # > 0 spoke for the answer; about 0.7 doubles the odds


@runtime_checkable
class Explains(Protocol):
    """A model whose answers are sums: the weights of all reasons and of the start make up the log-odds exactly."""

    def reasons(self, item: Mapping[str, Any], answer: str, other: str) -> list[Reason]:
        """Every part of a task that moved the model between two classes; [] for a task that cannot be read."""
        ...


def strongest(reasons: Iterable[Reason], *, most: int = 6, least: float = 0.05) -> list[Reason]:
    """The few parts that moved the answer most, whichever way, the strongest first; what hardly counts is left out.

    >>> strongest([Reason("the", 0.01), Reason("prize", 0.9), Reason("lunch", -1.2)])
    [Reason(what='lunch', weight=-1.2), Reason(what='prize', weight=0.9)]
    """
    told = [one for one in reasons if abs(one.weight) >= least]
    return sorted(told, key=lambda one: (-abs(one.weight), one.what))[:most]


def summed(parts: Iterable[tuple[str, float]]) -> list[Reason]:
    """One reason for each name, in the order in which they first came."""
    total: dict[str, float] = {}
    for what, weight in parts:
        total[what] = total.get(what, 0.0) + weight
    return [Reason(what, weight) for what, weight in total.items()]
