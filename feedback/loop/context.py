"""The record that the stages of a turn pass on, the services that they use, and the result of a turn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from feedback.jobs.worker import Held
from feedback.labelling_platform.interface import LabellingPlatform
from feedback.loop.reopen_tasks import OpenTasks
from feedback.loop.write_consensus import WrittenConsensus
from feedback.project.incremental_caches import RecentProjects
from feedback.project.snapshot import ProjectSnapshot, SnapshotCache
from feedback.queue.open_tasks import OpenTaskCache
from feedback.queue.planner import ServedWindowCache
from feedback.review.eligibility import EligibleVotes
from feedback.review.final_answers import FinalAnswerCache, FinalAnswers
from feedback.review.overrides import OverrideCache
from feedback.review.review_stage import ReviewStage
from feedback.routing.router import RoutingCache
from feedback.store import Store
from feedback.training.challenger import TrainingCache
from feedback.training.consensus_labels import ConsensusCache, ConsensusLabels
from feedback.training.dataset import Dataset, DatasetCache
from feedback.training.model_cache import ChampionCache, Committee, PredictionCache
from feedback.training.model_factory import ModelFactory
from ml_backend.registry import Bundle, Registry

_Made = TypeVar("_Made")


@dataclass(frozen=True, slots=True)
class Turn:
    """What one pass of the loop did."""

    project: str
    at_s: float
    collected: int  # events that no webhook had brought
    answers: int  # votes of people on our control
    trainable: int  # of these, on tasks that models may learn from
    settled: int
    reopened: int
    version: str  # the model that serves, "" before the first
    verdict: str  # on the challenger, "" when no training was due
    asked: str  # why a window was written, "" when the old one still serves
    window: str  # the window that is served
    notes: tuple[str, ...]
    waits: str = ""  # what the first model still waits for, "" once one serves
    left_out: str = ""  # rows without which it went on, "" for none
    stages: Mapping[str, float] = field(default_factory=dict, hash=False)  # seconds of each stage, by its name
    rows: int = 0  # training and audit rows that people's answers gave
    not_learned: Mapping[str, int] = field(default_factory=dict, hash=False)  # votes that give none by reason, if many
    imports: Mapping[str, Any] = field(default_factory=dict, hash=False)  # tasks with imported answers, by their fate
    requests: int = 0  # number of the newest training request that came before it began


@dataclass(frozen=True, slots=True)
class Services:
    """What the stages of every turn of one process share. The caches only save time: each equals a recomputation."""

    store: Store
    platform: LabellingPlatform | None  # without one everything is decided and nothing is written
    review: ReviewStage
    model_factory: ModelFactory
    model_folder: Registry  # champions are exported there
    champions: ChampionCache
    committee: Committee
    clock: Callable[[], float]
    started_s: float = math.inf  # of answers given before, no webhook is expected: the service may have been down
    snapshots: SnapshotCache = field(default_factory=SnapshotCache)
    consensus: ConsensusCache = field(default_factory=ConsensusCache)
    final_answers: FinalAnswerCache = field(default_factory=FinalAnswerCache)
    overrides: OverrideCache = field(default_factory=OverrideCache)
    datasets: DatasetCache = field(default_factory=DatasetCache)
    trainings: TrainingCache = field(default_factory=TrainingCache)
    predictions: PredictionCache = field(default_factory=PredictionCache)
    windows: ServedWindowCache = field(default_factory=ServedWindowCache)
    routing: RoutingCache = field(default_factory=RoutingCache)
    open_tasks: OpenTaskCache = field(default_factory=OpenTaskCache)
    reopened: RecentProjects[OpenTasks] = field(default_factory=RecentProjects)
    written_consensus: RecentProjects[WrittenConsensus] = field(default_factory=RecentProjects)


@dataclass(frozen=True, slots=True)
class TurnContext:
    """A running turn. Each stage returns a copy with its results."""

    services: Services
    project_id: str
    held: Held | None = None  # the lease: nothing is promoted or written once another worker has the project
    poll: bool = True  # whether Label Studio is asked what changed
    collected: int = 0
    eligible: EligibleVotes | None = None  # the snapshot, None until it is loaded or where it cannot be
    first_answers: ProjectSnapshot | None = None  # the snapshot with indicators as of each task's first answer
    final_answers: FinalAnswers | None = None
    labels: ConsensusLabels | None = None
    dataset: Dataset | None = None
    champion: Bundle | None = None
    verdict: str = ""
    waits: str = ""
    asked: str = ""
    window: str = ""
    reopened: int = 0
    notes: tuple[str, ...] = ()

    @property
    def store(self) -> Store:
        """Return the store."""
        return self.services.store

    @property
    def snapshot(self) -> ProjectSnapshot:
        """Return the project as this turn sees it."""
        return _made(self.eligible, "load snapshot").snapshot

    @property
    def consensus_labels(self) -> ConsensusLabels:
        """Return what people have settled."""
        return _made(self.labels, "aggregate votes")

    @property
    def platform(self) -> LabellingPlatform | None:
        """Return where this project's tasks are written; None where nothing is to be written."""
        return self.services.platform if self.snapshot.project.connected else None

    def with_snapshot(self, snapshot: ProjectSnapshot) -> TurnContext:
        """Return the context with another snapshot of the same votes."""
        return replace(self, eligible=replace(_made(self.eligible, "load snapshot"), snapshot=snapshot))

    def noted(self, *notes: str) -> TurnContext:
        """Return the context with further notes for the turn's record."""
        return replace(self, notes=(*self.notes, *notes))

    def may_write(self) -> bool:
        """Return whether we may still write. Asked before each write: a pause or a lost lease stops the next one."""
        row = self.store.projects.get_project(self.project_id)
        return row is not None and row.connected and not row.paused and (self.held is None or self.held.holds())

    def request_turn(self) -> None:
        """Ask for another turn: something was left for it."""
        self.store.jobs.request_job(self.project_id, "turn")


def _made(value: _Made | None, stage: str) -> _Made:
    if value is None:
        raise RuntimeError(f"the stage {stage!r} did not run before")
    return value
