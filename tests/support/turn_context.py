"""A turn that is under way, for the test of one stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from feedback.loop.context import Services, TurnContext
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.eligibility import EligibleVotes
from feedback.review.review_stage import ReviewStage
from feedback.store import Store
from feedback.training.consensus_labels import ConsensusLabels
from feedback.training.model_cache import ChampionCache, Committee
from feedback.training.model_factory import ModelFactory
from ml_backend.registry import FolderRegistry


def services_of(store: Store, platform: Any, *, clock: Callable[[], float] = lambda: 0.0) -> Services:
    """What a new process gives its turns."""
    factory = ModelFactory(lambda: ())
    return Services(
        store=store,
        platform=platform,
        review=ReviewStage(store, platform, clock=clock),
        model_factory=factory,
        model_folder=FolderRegistry(Path("models")),
        champions=ChampionCache(store.registry, factory.load),
        committee=Committee(store.registry, factory.load),
        clock=clock,
    )


def context_of(services: Services, snapshot: ProjectSnapshot, labels: ConsensusLabels, **more: Any) -> TurnContext:
    """A turn that knows its consensus labels."""
    return TurnContext(services, snapshot.project.id, eligible=EligibleVotes(snapshot), labels=labels, **more)
