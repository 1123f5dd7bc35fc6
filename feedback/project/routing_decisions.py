"""Where routing sent each task, as far as the queue and the counting of votes need it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from feedback.policy.rules import HOLD, PRIORITIES
from feedback.project.incremental_caches import RecentProjects
from feedback.store import CurrentDecision, Store
from feedback.store.repositories.event_queries import ProjectHeads

NORMAL = PRIORITIES.index("normal")
HIGH = PRIORITIES.index("high")

CurrentDecisions = Mapping[int, tuple[CurrentDecision, str]]  # task -> the decision, and the content that it was about


@dataclass(frozen=True, slots=True)
class Routes:
    """The current decisions by task; without any, every task is asked in the first tier and nothing is urgent."""

    standing: Mapping[int, CurrentDecision] = field(default_factory=dict, repr=False)
    held: frozenset[int] = field(default=frozenset(), repr=False)  # nobody in the first tier may see these
    tiers: Mapping[int, str] = field(default_factory=dict, repr=False)  # those that go to a later tier
    first_tier_before: frozenset[int] = field(default=frozenset(), repr=False)  # audit tasks among these
    priorities: Mapping[int, int] = field(default_factory=dict, repr=False)  # place in PRIORITIES, where not normal
    overlaps: Mapping[int, int] = field(default_factory=dict, repr=False)  # votes wanted, where a rule says


def routes_of(standing: Mapping[int, CurrentDecision], *, first_tier: str) -> Routes:
    """Return decisions as routes."""
    later = {task: decision for task, decision in standing.items() if decision.outcome != first_tier}
    return Routes(
        standing=standing,
        held=frozenset(task for task, decision in later.items() if not decision.sample),
        tiers={task: decision.outcome for task, decision in later.items() if decision.outcome != HOLD},
        first_tier_before=frozenset(task for task, decision in later.items() if decision.sample),
        priorities={
            task: _priority(decision.priority) for task, decision in standing.items() if decision.priority != "normal"
        },
        overlaps={task: decision.overlap for task, decision in standing.items() if decision.overlap},
    )


class DecisionCache:
    """The current decisions of the projects that were read last; only decisions made since are read again."""

    def __init__(self) -> None:
        self._kept = RecentProjects[tuple[ProjectHeads, CurrentDecisions]]()

    def read(self, store: Store, project: str, *, heads: ProjectHeads | None = None) -> CurrentDecisions:
        """Return the newest decision about each task as it is now."""
        heads = heads or store.events.get_heads(project)
        before, known = self._kept.get(project) or (None, {})
        if before is None or (before.seq != heads.seq and _were_removed(store, project, known, before.seq)):
            known = store.decisions.list_current_decisions(project)
        elif before.decision != heads.decision:
            newer = store.decisions.list_current_decisions(project, after=before.decision)
            known = {**known, **newer} if newer else known
        self._kept.put(project, (heads, known), size=len(known))
        return known


def _were_removed(store: Store, project: str, known: CurrentDecisions, after: int) -> bool:
    """Return whether decisions were erased since an event, or set aside since another task has their number."""
    changes = store.events.list_changes(project, after)
    tasks = changes.tasks & known.keys()
    return changes.erased or store.decisions.list_decided_tasks(project, tasks) != tasks


def _priority(name: str) -> int:
    return PRIORITIES.index(name) if name in PRIORITIES else NORMAL
