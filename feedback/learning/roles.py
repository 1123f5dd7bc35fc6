"""Which rows are the audit stream, and what each of them proves: decided by hash, for ever."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from feedback.draws import draw, in_audit, role
from ml_backend.records import content_hash


@dataclass(frozen=True, slots=True)
class Draws:
    """The keyed draws of one project; the unit is a task's content, so exact twins share a fate."""

    secret: str
    project: str
    audit_share: float

    def unit(self, data: Mapping[str, Any]) -> str:
        """Name what is drawn."""
        return f"{self.project}/{content_hash(data)}"

    def role(self, unit: str) -> str:
        """Give "train", or the audit role: "tune", "judge" or "certify"."""
        return role(self.secret, unit) if in_audit(self.secret, unit, self.audit_share) else "train"

    def audit_order(self, unit: str) -> float:
        """In which order audit tasks are asked, [0, 1)."""
        return draw(self.secret, "audit-order", unit)

    def overlaps(self, unit: str, share: float) -> bool:
        """Whether the task gets several votes whatever they say."""
        return draw(self.secret, "overlap", unit) < share


def audit_share(n_tasks: int) -> float:
    """Choose the audit share of a new project: enough for about 150 audit rows, between 10 and 30 %.

    >>> audit_share(200), audit_share(1000), audit_share(100_000)
    (0.3, 0.15, 0.1)
    """
    return round(min(0.3, max(0.1, 150 / max(n_tasks, 1))), 3)
