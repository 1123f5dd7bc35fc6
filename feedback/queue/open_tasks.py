"""The tasks that people in the first tier may still answer, kept between turns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from feedback.project.audit_splits import AUDIT_ROLES
from feedback.project.incremental_caches import Changes, RecentProjects, changed_since
from feedback.project.routing_decisions import HIGH, NORMAL, Routes
from feedback.project.snapshot import ProjectSnapshot
from feedback.project.task_cache import merged
from feedback.queue.interleave import OpenTask
from feedback.store.database.engine import without_garbage_collection
from feedback.training.consensus_labels import ConsensusLabels


@dataclass(frozen=True, slots=True)
class OpenTasks:
    """The open tasks of a project by id, and those of them that come before the usual ones."""

    by_task: Mapping[int, OpenTask] = field(repr=False)
    reopened: frozenset[int] = field(repr=False)  # they wait for another person's vote
    urgent: Mapping[int, int] = field(repr=False)  # task -> priority, where a smaller one than normal


@dataclass(frozen=True, slots=True)
class _Kept:
    snapshot: Changes
    labels: Changes
    routes: Routes
    needs_votes: frozenset[int]  # tasks that need more votes
    open_tasks: OpenTasks


class OpenTaskCache:
    """Keeps the open tasks of the projects that were read last; only tasks that changed are looked at again."""

    def __init__(self) -> None:
        self._kept = RecentProjects[_Kept]()

    @without_garbage_collection()
    def list_open_tasks(self, snapshot: ProjectSnapshot, labels: ConsensusLabels) -> OpenTasks:
        """Return the open tasks as they are now."""
        kept = self._kept.get(snapshot.project.id)
        needs_votes = frozenset(labels.needs_more_votes)
        changed = None
        if kept is not None:
            changed = changed_since((snapshot.changes, kept.snapshot), (labels.changes, kept.labels))
        if kept is not None and changed is not None:
            changed |= (kept.needs_votes ^ needs_votes) | _rerouted(kept.routes, snapshot.routes)
            open_tasks = _updated(kept.open_tasks, snapshot, labels, changed) if changed else kept.open_tasks
        else:
            open_tasks = find_open_tasks(snapshot, labels)
        made = _Kept(snapshot.changes, labels.changes, snapshot.routes, needs_votes, open_tasks)
        self._kept.put(snapshot.project.id, made, size=len(open_tasks.by_task))
        return open_tasks


def find_open_tasks(snapshot: ProjectSnapshot, labels: ConsensusLabels) -> OpenTasks:
    """Return the tasks that are unanswered, and those that need one more vote, by id."""
    found = _open(snapshot, labels, snapshot.tasks)
    return OpenTasks(found, _reopened(found.values()), _urgent(found.values()))


def _updated(old: OpenTasks, snapshot: ProjectSnapshot, labels: ConsensusLabels, changed: Iterable[int]) -> OpenTasks:
    changed = sorted(changed)
    new = _open(snapshot, labels, changed)
    gone = frozenset(changed)
    urgent = {task: priority for task, priority in old.urgent.items() if task not in gone} if old.urgent else {}
    return OpenTasks(
        merged(old.by_task, new, changed),
        (old.reopened - gone) | _reopened(new.values()),
        urgent | _urgent(new.values()),
    )


def _open(snapshot: ProjectSnapshot, labels: ConsensusLabels, tasks: Iterable[int]) -> dict[int, OpenTask]:
    rows, roles, voted = snapshot.tasks, snapshot.roles, snapshot.votes_by_task
    needs_votes, held, sample = labels.needs_more_votes, snapshot.routes.held, snapshot.overlap_sample
    ids = [
        task
        for task in tasks
        if task not in held
        and (row := rows.get(task)) is not None
        and (task in needs_votes or not (row.is_labeled or task in voted))
    ]
    audit = [task for task in ids if roles[task] in AUDIT_ROLES]
    order = dict(zip(audit, snapshot.splits.audit_order([snapshot.dedup_keys[task] for task in audit]), strict=True))
    is_learned = snapshot.policy.imports.use == "train"
    priorities, stale, imports = snapshot.routes.priorities, snapshot.stale, snapshot.imports
    found = {}
    for task in ids:
        # nobody has answered what was only imported: it comes in the order of the new tasks
        role, reopened = roles[task], task in needs_votes and (task in voted or task in stale or task not in imports)
        priority = priorities.get(task, NORMAL) if priorities else NORMAL
        found[task] = OpenTask(
            task,
            role,
            blind=role != "train" or reopened or task in sample or (is_learned and task in imports),
            audit_order=order.get(task, 0.0),
            reopened=reopened,
            priority=min(priority, HIGH) if task in stale else priority,  # stale answers come before the usual ones
        )
    return found


def _reopened(tasks: Iterable[OpenTask]) -> frozenset[int]:
    return frozenset(row.task for row in tasks if row.reopened)


def _urgent(tasks: Iterable[OpenTask]) -> dict[int, int]:
    return {row.task: row.priority for row in tasks if row.priority < NORMAL}


def _rerouted(old: Routes, new: Routes) -> set[int]:
    """Return the tasks that became held or free, or got another priority."""
    if old is new:
        return set()
    moved = set(old.held ^ new.held)
    if old.priorities != new.priorities:
        moved |= {task for task, _priority in old.priorities.items() ^ new.priorities.items()}
    return moved
