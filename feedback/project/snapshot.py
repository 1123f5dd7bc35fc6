"""What one turn works on: a project's tasks, roles and votes, read from the store once a turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any, cast

from feedback.annotators.gold import GoldTask, load_gold_tasks, order_by_draw
from feedback.policy import Policy
from feedback.project.audit_splits import Splits
from feedback.project.incremental_caches import Changes, RecentProjects, changed_since
from feedback.project.indicators import NOW_S, load_indicators, make_indicator_reader
from feedback.project.label_changes import LabelChange, apply_label_changes, list_label_changes
from feedback.project.routing_decisions import CurrentDecisions, DecisionCache, Routes, routes_of
from feedback.project.task_cache import TaskCache, TaskTable, merged
from feedback.project.vote_cache import TaskVotes, VoteCache, VoteTable, votes_by_task
from feedback.store import ProjectRow, Store, Vote
from feedback.store.database.engine import without_garbage_collection
from feedback.store.repositories.event_queries import ProjectHeads
from ml_backend.label_config import Control, LabelConfig, read_label_config
from ml_backend.records import Answer, Indicators, Task, with_indicators

_NO_DECISIONS: CurrentDecisions = {}  # the same at each turn, so that nothing seems to have changed
_SOURCE = attrgetter("project", "policy", "control", "config", "splits")  # of a snapshot
_USUAL_SHARE = 0.1  # of a project that was never connected: we know it from webhooks alone


@dataclass(frozen=True, slots=True)
class ProjectSnapshot:
    """A project at the start of a turn. Every mapping is by task id."""

    project: ProjectRow
    policy: Policy
    control: Control
    config: LabelConfig
    splits: Splits
    tasks: Mapping[int, Task] = field(repr=False)  # those that still exist
    dedup_keys: Mapping[int, str] = field(repr=False)  # equal for tasks with equal data; the draws are made on them
    roles: Mapping[int, str] = field(repr=False)  # "train", "tune", "judge", "certify" or "gold"
    overlap_sample: frozenset[int] = field(repr=False)  # drawn for several blind votes: where agreement is measured
    votes: tuple[Vote, ...] = field(repr=False)  # people's latest answers to our control
    routes: Routes = field(default_factory=Routes)  # who looks at what, as it was decided last
    gold: tuple[int, ...] = ()  # tasks of the gold book that are asked, in drawn order
    book: Mapping[int, Answer] = field(default_factory=dict, repr=False)  # known answers, of retired tasks too
    stale: Mapping[int, int] = field(default_factory=dict, repr=False)  # votes that count no more: a label changed
    imports: Mapping[int, tuple[Vote, ...]] = field(default_factory=dict, repr=False)  # never votes
    imported_gold: frozenset[int] = field(default=frozenset(), repr=False)  # tasks of the gold book that came with it
    indicators: Mapping[int, Indicators] = field(default_factory=dict, repr=False)  # recorded apart from the task data
    changes: Changes = field(default=Changes(), compare=False, repr=False)  # since the snapshot before

    def data(self, task: int) -> Mapping[str, Any]:
        """Return what a model reads of a task: its data with its indicators."""
        return with_indicators(self.tasks[task].data, self.indicators.get(task, {}))

    @property
    def votes_by_task(self) -> Mapping[int, tuple[Vote, ...]]:
        """Return the votes on each answered task."""
        return votes_by_task(self.votes)

    def count_votes(self, role: str) -> int:
        """Return the number of votes on tasks of a role."""
        return sum(len(votes) for task, votes in self.votes_by_task.items() if self.roles[task] == role)

    @property
    def onboarding(self) -> tuple[int, ...]:
        """Return the gold tasks that a new person meets first."""
        return self.gold[: self.policy.gold.onboarding]


def load_snapshot(store: Store, project: ProjectRow, policy: Policy) -> ProjectSnapshot:
    """Read a whole project; a few queries, whatever its size. Turns read through a `SnapshotCache` instead.

    Raises LabelConfigError if the label config of the project cannot be read.
    """
    config = read_label_config(project.label_config)
    return SnapshotCache().load(store, project, policy, config, config.control(policy.model.control))


def load_counted_snapshot(store: Store, project: ProjectRow, policy: Policy) -> ProjectSnapshot:
    """Read a whole project without the answers that do not count, as the last turn decided.

    Raises LabelConfigError if the label config of the project cannot be read.
    """
    snapshot = load_snapshot(store, project, policy)
    excluded = store.uncounted.list_excluded(project.id)
    if not excluded:
        return snapshot
    counted = {
        task: tuple(vote for vote in votes if vote.annotation not in excluded)
        for task, votes in snapshot.votes_by_task.items()
    }
    return replace(snapshot, votes=VoteTable.of({task: votes for task, votes in counted.items() if votes}))


@dataclass(frozen=True, slots=True)
class _Kept:
    """A snapshot with what it was made of."""

    heads: ProjectHeads
    tasks: Changes
    votes: Changes
    imports: Changes
    raw: Mapping[int, tuple[Vote, ...]]  # votes before labels changed their meaning
    relabels: Sequence[LabelChange]
    gold: Mapping[int, GoldTask]
    decisions: CurrentDecisions
    snapshot: ProjectSnapshot


class SnapshotCache:
    """Keeps the snapshots of the projects that were read last; only what changed is read again.

    A snapshot is always equal to what `load_snapshot` reads. Where nothing changed it is the very one of before, and
    `ProjectSnapshot.changes` names the tasks that differ otherwise: caches that are made of snapshots are brought up
    to date by it.
    """

    def __init__(self) -> None:
        self._tasks, self._votes, self._decisions = TaskCache(), VoteCache(), DecisionCache()
        self._imports = VoteCache(imported=True)
        self._kept = RecentProjects[_Kept]()

    @without_garbage_collection()
    def load(
        self, store: Store, project: ProjectRow, policy: Policy, config: LabelConfig, control: Control
    ) -> ProjectSnapshot:
        """Read a project as it is now."""
        heads = store.events.get_heads(project.id)  # first: what comes while we read is read again next time
        kept = self._kept.get(project.id)
        same_gold = kept is not None and kept.heads.gold == heads.gold
        gold = kept.gold if kept is not None and same_gold else load_gold_tasks(store, project.id)
        splits = make_splits(store, project, policy, gold)
        table = self._tasks.read(store, project.id, splits, heads=heads)
        votes, imports = (
            cache.read(store, project.id, control.name, project.bots, heads=heads)
            for cache in (self._votes, self._imports)
        )
        decisions = self._decisions.read(store, project.id, heads=heads) if policy.routing else _NO_DECISIONS
        if kept is not None and kept.heads.relabel == heads.relabel:
            relabels = kept.relabels
        else:
            relabels = list_label_changes(store, project.id)
        read = (table, votes, imports)
        made = _updated(store, project, policy, config, control, splits, read, heads, relabels, gold, decisions, kept)
        self._kept.put(project.id, made, size=len(table.tasks))
        return made.snapshot


def _updated(
    store: Store,
    project: ProjectRow,
    policy: Policy,
    config: LabelConfig,
    control: Control,
    splits: Splits,
    read: tuple[TaskTable, TaskVotes, TaskVotes],
    heads: ProjectHeads,
    relabels: Sequence[LabelChange],
    gold: Mapping[int, GoldTask],
    decisions: CurrentDecisions,
    kept: _Kept | None,
) -> _Kept:
    table, votes, imports = read
    before = kept.snapshot if kept is not None else None
    indicators = _current_indicators(store, project.id, policy, table, heads, kept)
    changed = None
    if kept is not None and before is not None:
        same = (project, policy, control, config, splits) == _SOURCE(before)
        if same and relabels is kept.relabels and gold is kept.gold:
            changed = changed_since(
                (table.changes, kept.tasks), (votes.changes, kept.votes), (imports.changes, kept.imports)
            )
    if kept is not None and before is not None and changed is not None:
        changed |= _differing(before.indicators, indicators)
        if not changed and decisions is kept.decisions:
            return replace(kept, heads=heads)
        counted, stale = _counted(votes.by_task, table.tasks, relabels, changed, before)
        imported = before.imports
        if any(task in imports.by_task or task in imported for task in changed):
            imported = merged(imported, _imported(imports.by_task, table.tasks, relabels, sorted(changed)), changed)
        changes = before.changes.then(changed)
    else:
        counted, stale = _counted(votes.by_task, table.tasks, relabels, None, None)
        imported = _imported(imports.by_task, table.tasks, relabels, imports.by_task)
        changes = Changes.everything()
    if kept is not None and decisions is kept.decisions and before is not None and policy == before.policy:
        routes = before.routes
    else:
        standing = {task: decision for task, (decision, _content) in decisions.items()}
        routes = routes_of(standing, first_tier=policy.first_tier) if policy.routing else Routes()
    # the known answer is that of a content: the number may have passed to another task since
    book = [row for row in gold.values() if table.dedup_keys.get(row.task) == row.unit]
    snapshot = ProjectSnapshot(
        project=project,
        policy=policy,
        control=control,
        config=config,
        splits=splits,
        tasks=table.tasks,
        dedup_keys=table.dedup_keys,
        roles=table.roles,
        overlap_sample=table.overlap_sample,
        votes=counted,
        routes=routes,
        gold=tuple(order_by_draw(splits.secret, [row for row in book if row.asked])),
        book={row.task: row.answer for row in book if row.answer is not None},
        stale=stale,
        imports=imported,
        imported_gold=frozenset(row.task for row in book if row.imported),
        indicators=indicators,
        changes=changes,
    )
    return _Kept(
        heads, table.changes, votes.changes, imports.changes, votes.by_task, relabels, gold, decisions, snapshot
    )


def _imported(
    raw: Mapping[int, tuple[Vote, ...]],
    tasks: Mapping[int, Task],
    relabels: Sequence[LabelChange],
    wanted: Iterable[int],
) -> dict[int, tuple[Vote, ...]]:
    """Return the imported answers to these tasks, as far as they exist, after all label changes."""
    known = {task: raw[task] for task in wanted if task in raw and task in tasks}
    if not relabels:
        return known
    given = (vote for answers in known.values() for vote in answers)
    return dict(votes_by_task(apply_label_changes(given, relabels).votes))


def _counted(
    raw: Mapping[int, tuple[Vote, ...]],
    tasks: Mapping[int, Task],
    relabels: Sequence[LabelChange],
    changed: frozenset[int] | None,
    before: ProjectSnapshot | None,
) -> tuple[VoteTable, Mapping[int, int]]:
    """Return the votes that count on tasks that exist, and how many on each task count no more."""
    if changed is None or before is None:
        known = {task: given for task, given in raw.items() if task in tasks}
    else:
        known = {task: raw[task] for task in sorted(changed) if task in raw and task in tasks}
    stale: Mapping[int, int] = {}
    if relabels:
        applied = apply_label_changes([vote for given in known.values() for vote in given], relabels)
        known, stale = dict(votes_by_task(applied.votes)), applied.stale
    if changed is None or before is None:
        return VoteTable.of(known), stale
    if not changed:
        return cast(VoteTable, before.votes), before.stale
    left = {task: count for task, count in before.stale.items() if task not in changed}
    return VoteTable.of(merged(before.votes_by_task, known, changed)), {**left, **stale} if left or stale else {}


def _differing(old: Mapping[int, object], new: Mapping[int, object]) -> frozenset[int]:
    """Return the keys at which two mappings differ."""
    if old is new or old == new:
        return frozenset()
    return frozenset(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def as_of_first_answer(store: Store, snapshot: ProjectSnapshot) -> ProjectSnapshot:
    """Return the snapshot with indicator values as of each task's first answer, so that training sees no later facts.

    A task that nobody has answered has no indicators there.
    """
    if not snapshot.policy.indicators:
        return snapshot
    history = load_indicators(store, snapshot.project.id, snapshot.policy)
    first = store.votes.list_first_answer_times(snapshot.project.id)
    then = {
        task: indicators
        for task, at_s in first.items()
        if task in snapshot.tasks and (indicators := history.as_of(task, snapshot.tasks[task].data, at_s=at_s))
    }
    return replace(snapshot, indicators=then)


def _current_indicators(
    store: Store, project: str, policy: Policy, table: TaskTable, heads: ProjectHeads, kept: _Kept | None
) -> Mapping[int, Indicators]:
    """Return the indicators of each task as of now; while no value changes, only those of changed tasks are read."""
    if not policy.indicators:
        return {}
    if kept is not None and kept.snapshot.policy == policy and kept.heads.indicators == heads.indicators:
        changed = table.changes.since(kept.tasks.revision)
        if changed is not None:
            tasks = [table.tasks[task] for task in sorted(changed) if task in table.tasks]
            read = zip(tasks, make_indicator_reader(store, project, policy)(tasks), strict=True)
            new = {task.id: found for task, found in read if found}
            return merged(kept.snapshot.indicators, new, changed) if changed else kept.snapshot.indicators
    history = load_indicators(store, project, policy)
    return {task: found for task, row in table.tasks.items() if (found := history.as_of(task, row.data, at_s=NOW_S))}


def load_splits(store: Store, project: ProjectRow, policy: Policy) -> Splits:
    """Return the keyed draws of a project; its audit share was fixed when it was connected."""
    return make_splits(store, project, policy, load_gold_tasks(store, project.id))


def make_splits(store: Store, project: ProjectRow, policy: Policy, gold: Mapping[int, GoldTask]) -> Splits:
    """Return the same where the gold book was read already."""
    chosen = policy.audit.share
    share = float(project.options.get("audit_share", _USUAL_SHARE)) if chosen is None else chosen
    keys = frozenset(task.unit for task in gold.values())
    return Splits(store.secrets.get_or_create_secret("draws"), project.id, share, policy.overlap.share, keys)
