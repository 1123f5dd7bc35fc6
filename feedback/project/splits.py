"""Which rows are the audit stream, and what each of them proves: decided by hash, for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from feedback.stats.hash_sampling import draws, role
from ml_backend.records import content_hash


@dataclass(frozen=True, slots=True)
class Draws:
    """The keyed draws of one project; the unit is a task's content, so exact twins share a fate."""

    secret: str
    project: str
    audit_share: float
    overlap_share: float = 0.0
    gold: frozenset[str] = field(default=frozenset(), repr=False)  # units whose answer is known

    def unit(self, data: Mapping[str, Any]) -> str:
        """Name what is drawn."""
        return self.unit_of(content_hash(data))

    def unit_of(self, content: str) -> str:
        """The same where the task's content has its name already, as rows of the store do."""
        return f"{self.project}/{content}"

    def roles(self, units: Sequence[str]) -> list[str]:
        """Give "train", an audit role ("tune", "judge" or "certify"), or "gold": judges people, teaches nobody."""
        drawn = draws(self.secret, "audit", units)
        return [
            "gold" if unit in self.gold else role(self.secret, unit) if share < self.audit_share else "train"
            for unit, share in zip(units, drawn, strict=True)
        ]

    def audit_order(self, units: Sequence[str]) -> list[float]:
        """In which order audit tasks are asked, [0, 1)."""
        return draws(self.secret, "audit-order", units)

    def doubled(self, units: Sequence[str]) -> list[bool]:
        """Whether a task is drawn for several blind votes, whatever they say."""
        return [share < self.overlap_share for share in draws(self.secret, "overlap", units)]

    def blind(self, data: Mapping[str, Any]) -> bool:
        """Whether nothing may be shown on a task with this data: audit, gold, or drawn for several blind votes."""
        unit = [self.unit(data)]
        return self.roles(unit) != ["train"] or self.doubled(unit) == [True]


def audit_share(n_tasks: int) -> float:
    """Choose the audit share of a new project: enough for about 150 audit rows, between 10 and 30 %.

    >>> audit_share(200), audit_share(1000), audit_share(100_000)
    (0.3, 0.15, 0.1)
    """
    return round(min(0.3, max(0.1, 150 / max(n_tasks, 1))), 3)
