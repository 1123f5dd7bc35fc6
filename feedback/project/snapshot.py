"""What one turn works on: a project's tasks, roles and votes, read once from the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from feedback.annotators.gold import gold_tasks, in_drawn_order
from feedback.policy import Policy
from feedback.project.indicators import NOW_S, load_indicators
from feedback.project.label_changes import apply_changes, label_changes
from feedback.project.splits import Draws
from feedback.project.task_cache import TaskCache
from feedback.project.task_routes import Routes, routes_of
from feedback.store import ProjectRow, Store, Vote
from ml_backend.label_config import Control, LabelConfig
from ml_backend.records import Answer, Indicators, Task, with_indicators

_USUAL_SHARE = 0.1  # of a project that was never connected: it teaches us by webhooks alone


@dataclass(frozen=True, slots=True)
class ProjectSnapshot:
    """A project at the start of a turn. Every mapping is by task id."""

    project: ProjectRow
    policy: Policy
    control: Control
    config: LabelConfig
    draws: Draws
    tasks: Mapping[int, Task] = field(repr=False)  # those that still exist
    units: Mapping[int, str] = field(repr=False)  # what the draws are made on
    roles: Mapping[int, str] = field(repr=False)  # "train", "tune", "judge", "certify" or "gold"
    doubled: frozenset[int] = field(repr=False)  # drawn for several blind votes: where agreement is measured
    votes: tuple[Vote, ...] = field(repr=False)  # people's latest answers to our control
    routes: Routes = field(default_factory=Routes)  # who looks at what, as it was decided last
    gold: tuple[int, ...] = ()  # tasks of the gold book that are asked, in drawn order
    book: Mapping[int, Answer] = field(default_factory=dict, repr=False)  # known answers, of retired tasks too
    stale: Mapping[int, int] = field(default_factory=dict, repr=False)  # votes that count no more: a label changed
    indicators: Mapping[int, Indicators] = field(
        default_factory=dict, repr=False
    )  # beside the data of tasks: what was recorded

    def data(self, task: int) -> Mapping[str, Any]:
        """Return what a model reads of a task: its data with its indicators."""
        return with_indicators(self.tasks[task].data, self.indicators.get(task, {}))

    @property
    def onboarding(self) -> tuple[int, ...]:
        """The gold tasks that a new person meets first."""
        return self.gold[: self.policy.gold.onboarding]

    @property
    def wanted(self) -> dict[int, int]:
        """Votes that tasks want, where more than one; second ones are drawn only once there is a second person."""
        base = max(1, self.project.overlap)
        wanted = dict.fromkeys(self.tasks, base) if base > 1 else {}
        people, first = len({vote.person for vote in self.votes}), set(self.onboarding)
        if people > 1:
            wanted.update(dict.fromkeys(self.doubled, max(base, self.policy.overlap.votes)))
        for task in self.gold:  # everybody answers them, and those that come first wait for the next new person
            wanted[task] = max(base, min(people + (task in first), self.policy.gold.retire_after))
        for task, votes in self.routes.overlaps.items():
            wanted[task] = max(votes, wanted.get(task, base))
        return wanted


def load_snapshot(
    store: Store,
    project: ProjectRow,
    policy: Policy,
    config: LabelConfig,
    control: Control,
    *,
    task_cache: TaskCache | None = None,
) -> ProjectSnapshot:
    """Read a project; a few queries, whatever its size, and only what changed since `task_cache` read it last."""
    draws = project_draws(store, project, policy)
    task_table = (task_cache or TaskCache()).read(store, project.id, draws)
    tasks = task_table.tasks
    # the answer is that of a content: the number may have passed to another task since
    book = [one for one in gold_tasks(store, project.id).values() if task_table.units.get(one.task) == one.unit]
    said = [vote for vote in store.votes.list_votes(project.id) if vote.control == control.name and vote.task in tasks]
    standing = apply_changes(said, label_changes(store, project.id))
    return ProjectSnapshot(
        project=project,
        policy=policy,
        control=control,
        config=config,
        draws=draws,
        tasks=tasks,
        units=task_table.units,
        roles=task_table.roles,
        doubled=task_table.doubled,
        votes=standing.votes,
        routes=standing_routes(store, project, policy),
        gold=tuple(in_drawn_order(draws.secret, [one for one in book if one.asked])),
        book={one.task: one.answer for one in book if one.answer is not None},
        stale=standing.stale,
        indicators=_current_indicators(store, project, policy, tasks),
    )


def as_of_first_answer(store: Store, snapshot: ProjectSnapshot) -> ProjectSnapshot:
    """The scene with what was known of each task when people first answered it: what is learned, and judged, from.

    Of what nobody has answered nothing is known there.
    """
    if not snapshot.policy.indicators:
        return snapshot
    here, first = (
        load_indicators(store, snapshot.project.id, snapshot.policy),
        store.votes.list_first_answer_times(snapshot.project.id),
    )
    then = {
        task: indicators
        for task, at_s in first.items()
        if task in snapshot.tasks and (indicators := here.as_of(task, snapshot.tasks[task].data, at_s=at_s))
    }
    return replace(snapshot, indicators=then)


def _current_indicators(
    store: Store, project: ProjectRow, policy: Policy, tasks: Mapping[int, Task]
) -> dict[int, Indicators]:
    if not policy.indicators:
        return {}
    here = load_indicators(store, project.id, policy)
    return {task: indicators for task, one in tasks.items() if (indicators := here.as_of(task, one.data, at_s=NOW_S))}


def standing_routes(store: Store, project: ProjectRow, policy: Policy) -> Routes:
    """The decisions about a project's tasks that were made last; none where the policy has no rules."""
    if not policy.routing:
        return Routes()
    standing = {task: one for task, (one, _content) in store.decisions.list_current_decisions(project.id).items()}
    return routes_of(standing, first_tier=policy.first_tier)


def project_draws(store: Store, project: ProjectRow, policy: Policy) -> Draws:
    """The keyed draws of a project; its audit share was fixed when it was connected."""
    chosen = policy.audit.share
    share = float(project.options.get("audit_share", _USUAL_SHARE)) if chosen is None else chosen
    indicators = frozenset(one.unit for one in gold_tasks(store, project.id).values())
    return Draws(store.secrets.get_or_create_secret("draws"), project.id, share, policy.overlap.share, indicators)
