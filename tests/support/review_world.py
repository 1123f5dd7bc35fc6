"""A project with three tiers, its people and its review projects, for the tests of review."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from feedback.app.project_names import require_project
from feedback.loop.context import Turn
from feedback.loop.turn import Loop
from feedback.policy import read_policy
from feedback.review.notifications import Post
from feedback.store import CaseRow, ProjectRow, Store
from feedback.training.model_factory import ModelFactory
from ml_backend.registry import FolderRegistry
from tests.support import stores
from tests.support.fake_platform import TEXT_CONFIG, FakeLabelStudio
from tests.support.label_studio import Site
from tests.support.real_platform import RealLabelStudio

QUIET = """
[queue]
window = 10
head = 3
[overlap]
share = 0.0
max_votes = 2
[audit]
share = 0.0
[train]
min_rows = 500
[second_look]
share = {share}
"""
THREE = "[tiers.L1]\n{l1}\n[tiers.L2]\n{l2}\n[tiers.L3]\n{l3}\n"
PLATFORMS = ["in memory", pytest.param("on Label Studio", marks=pytest.mark.e2e)]  # parameters of the fixture `world`
PROJECT = "7"
HOLD_SECRETS = """
[[routing]]
id = "secret"
when = { data.text.matches = "secret" }
to = "hold"
[[routing]]
id = "default"
to = "L1"
"""
ADA, BEN, CLEO, DAN, EVA, FAY = 1, 2, 3, 4, 5, 6


def policy_text(*, l1: str = "", l2: str = "", l3: str = "", share: float = 0.0, more: str = "") -> str:
    return more + THREE.format(l1=l1, l2=l2, l3=l3) + QUIET.format(share=share)


@dataclass
class World:
    store: Store
    folder: Path
    site: FakeLabelStudio | RealLabelStudio = field(default_factory=FakeLabelStudio)
    post: Post | None = None
    project: str = PROJECT

    def __post_init__(self) -> None:
        self.loop = Loop(
            self.store,
            platform=self.site.platform,
            model_factory=ModelFactory(lambda: ()),
            folder=FolderRegistry(self.folder),
            clock=self.site.seconds,
            post=self.post,
        )

    @property
    def row(self) -> ProjectRow:
        """The project as the store has it now."""
        return require_project(self.store, self.project)

    def use(self, text: str, *, overlap: int = 1) -> None:
        row = self.store.projects.get_project(self.project)
        row = row or ProjectRow(self.project, "fake", TEXT_CONFIG, connected=True, overlap=overlap)
        self.store.projects.save_project(row)
        self.store.policies.activate_policy(row, read_policy(text), who="test", now_s=self.site.seconds())

    def turn(self) -> Turn:
        return self.loop.turn(self.project)

    def disagree(self, task: int, one: int = ADA, two: int = BEN) -> None:
        """Two people answer a task differently, as far as two are asked."""
        self.site.answer(task, "fruit", person=one)
        self.turn()
        self.site.answer(task, "tool", person=two)
        self.turn()

    def case(self, task: int) -> CaseRow:
        (found,) = self.store.cases.list_cases(self.project, tasks=[task])
        return found

    def trail(self, task: int) -> list[str]:
        return [step.event for step in self.store.cases.list_case_events(self.case(task).id)]

    def notes(self, task: int) -> list[str]:
        return [step.note for step in self.store.cases.list_case_events(self.case(task).id)]

    def review(self, tier: str, verdict: str, label: str = "", **more: object) -> int:
        return self.site.review(self.site.review_project_of(tier), verdict, label, **more)  # type: ignore[arg-type]

    def final(self, task: int) -> str:
        """What stands in the source project as ground truth."""
        (found,) = [result for one, _number, result in self.site.finals.values() if one == task]
        return str(found[0]["value"]["choices"][0])


@contextmanager
def open_world(folder: Path, site: FakeLabelStudio | None = None, *, post: Post | None = None) -> Iterator[World]:
    """A world with a new store; the store, the loop and Label Studio have one clock."""
    site = site or FakeLabelStudio()
    store = stores.fresh(folder / "hitl.sqlite3", clock=site.seconds)
    store.secrets.save_secret("draws", "the same draws in every run")
    try:
        yield World(store, folder / "models", site, post=post)
    finally:
        store.close()


@contextmanager
def open_world_on(server: Site, folder: Path, *, post: Post | None = None) -> Iterator[World]:
    """A world with a new store whose project is on a real Label Studio."""
    store = stores.fresh(folder / "hitl.sqlite3")
    store.secrets.save_secret("draws", "the same draws in every run")
    site = RealLabelStudio(server, store)
    try:
        yield World(store, folder / "models", site, post=post, project=site.project)
    finally:
        site.close()
        store.close()


def open_case(world: World, text: str = "a1 apple red", **policy: object) -> int:
    """A task over which two people differ, waiting at L2."""
    task = answer_differently(world, text, **policy)
    world.turn()
    return task


def answer_differently(world: World, text: str = "a1 apple red", **policy: object) -> int:
    """A task that two people have answered differently, before the turn that opens its case."""
    world.use(policy_text(**policy), overlap=2)  # type: ignore[arg-type]
    (task,) = world.site.add(text)
    world.turn()
    world.site.answer(task, "fruit", person=ADA)
    world.turn()
    world.site.answer(task, "tool", person=BEN)
    return task


def skip_to_l2(world: World) -> int:
    """A task that somebody skipped in the first tier, which escalates it, waiting at L2."""
    world.use(policy_text(l1='skip_means = "escalate"'))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.skip_source(task, person=ADA)
    world.turn()
    world.turn()
    return task
