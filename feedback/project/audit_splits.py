"""Which tasks are training, audit or gold rows, and which are drawn for several votes: decided by hash, for ever."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from feedback.stats.hash_sampling import audit_splits, draws
from ml_backend.records import content_hash

AUDIT_ROLES = ("tune", "judge", "certify")


@dataclass(frozen=True, slots=True)
class Splits:
    """The keyed draws of one project. They are made on a task's content, so exact duplicates share a fate."""

    secret: str
    project: str
    audit_share: float
    overlap_share: float = 0.0
    gold: frozenset[str] = field(default=frozenset(), repr=False)  # dedup keys of tasks whose answer is known

    def dedup_key(self, data: Mapping[str, Any]) -> str:
        """Return the key that tasks with equal data share."""
        return self.dedup_key_of(content_hash(data))

    def dedup_key_of(self, content: str) -> str:
        """Return the same from the name of a content, as rows of the store have it."""
        return f"{self.project}/{content}"

    def roles(self, keys: Sequence[str]) -> list[str]:
        """Return "train", "gold" (judges people, never learned from), or an audit role: "tune", "judge", "certify"."""
        drawn = zip(keys, draws(self.secret, "audit", keys), strict=True)
        audit = [key for key, share in drawn if share < self.audit_share and key not in self.gold]
        splits = dict(zip(audit, audit_splits(self.secret, audit), strict=True))
        return ["gold" if key in self.gold else splits.get(key, "train") for key in keys]

    def audit_order(self, keys: Sequence[str]) -> list[float]:
        """Return in which order audit tasks are asked, [0, 1)."""
        return draws(self.secret, "audit-order", keys)

    def in_overlap_sample(self, keys: Sequence[str]) -> list[bool]:
        """Return whether each task is drawn for several blind votes, whatever they say."""
        if not self.overlap_share:
            return [False] * len(keys)
        return [share < self.overlap_share for share in draws(self.secret, "overlap", keys)]

    def blind(self, data: Mapping[str, Any]) -> bool:
        """Return whether no prediction may be shown on a task with this data: audit, gold, or in the overlap sample."""
        key = [self.dedup_key(data)]
        return self.roles(key) != ["train"] or self.in_overlap_sample(key) == [True]


def audit_share(n_tasks: int) -> float:
    """Return the audit share of a new project: enough for about 150 audit rows, between 10 and 30 %.

    >>> audit_share(200), audit_share(1000), audit_share(100_000)
    (0.3, 0.15, 0.1)
    """
    return round(min(0.3, max(0.1, 150 / max(n_tasks, 1))), 3)
