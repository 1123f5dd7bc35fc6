"""Where the routing sent each task, as far as the queue and the counting of votes need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from feedback.policy.rules import HOLD, PRIORITIES
from feedback.store import Standing

NORMAL = PRIORITIES.index("normal")
HIGH = PRIORITIES.index("high")


@dataclass(frozen=True, slots=True)
class Routes:
    """The decisions that stand, by task; without any, every task is asked in the first tier and nothing is urgent."""

    standing: Mapping[int, Standing] = field(default_factory=dict, repr=False)
    held: frozenset[int] = field(default=frozenset(), repr=False)  # nobody in the first tier may see these
    tiers: Mapping[int, str] = field(default_factory=dict, repr=False)  # those that go straight to a later tier
    bands: Mapping[int, int] = field(default_factory=dict, repr=False)  # place in PRIORITIES, where not normal
    overlaps: Mapping[int, int] = field(default_factory=dict, repr=False)  # votes wanted, where a rule says


def routes_of(standing: Mapping[int, Standing], *, first_tier: str) -> Routes:
    """Read decisions as routes."""
    away = {task: one.outcome for task, one in standing.items() if one.outcome != first_tier}
    return Routes(
        standing=standing,
        held=frozenset(away),
        tiers={task: outcome for task, outcome in away.items() if outcome != HOLD},
        bands={task: _band(one.priority) for task, one in standing.items() if one.priority != "normal"},
        overlaps={task: one.overlap for task, one in standing.items() if one.overlap},
    )


def _band(priority: str) -> int:
    return PRIORITIES.index(priority) if priority in PRIORITIES else NORMAL
