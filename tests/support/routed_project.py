"""A project with a policy, its loop and its Label Studio in memory: what the tests of routing play in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from feedback.ingest.signals import SignalHandler
from feedback.loop.context import Turn
from feedback.loop.turn import Loop
from feedback.policy import Policy, read_policy
from feedback.project.snapshot import ProjectSnapshot, SnapshotCache
from feedback.review.final_answers import FinalAnswerCache
from feedback.store import ProjectRow, Store
from feedback.training.consensus_labels import ConsensusCache
from feedback.training.dataset import single_label
from feedback.training.model_factory import ModelFactory
from ml_backend.label_config import read_label_config
from ml_backend.registry import FolderRegistry
from tests.support.fake_platform import TEXT_CONFIG, FakeLabelStudio

SMALL = "\n[queue]\nwindow = 10\nhead = 3\n[overlap]\nshare = 0.0\n[audit]\nshare = 0.0\n[train]\nmin_rows = 500\n"
TIERS = "\n[tiers.L1]\n[tiers.L2]\n"
DEFAULT = '\n[[routing]]\nid = "default"\nto = "L1"\n'


def rules(*lines: str, tiers: str = TIERS) -> Policy:
    numbered = [f'[[routing]]\nid = "r{number}"\n{line}\n' for number, line in enumerate(lines)]
    return read_policy("".join(numbered) + DEFAULT + tiers + SMALL)


@dataclass
class RoutedProject:
    store: Store
    folder: Path
    studio: FakeLabelStudio = field(default_factory=FakeLabelStudio)
    now_s: float = 1_800_000_000.0

    def __post_init__(self) -> None:
        self.loop = Loop(
            self.store,
            platform=self.studio,
            model_factory=ModelFactory(lambda: ()),
            folder=FolderRegistry(self.folder),
            clock=lambda: self.now_s,
        )

    def use(self, policy: Policy) -> None:
        row = self.store.projects.get_project("7") or ProjectRow("7", "fake", TEXT_CONFIG, connected=True)
        self.store.projects.save_project(row)
        self.store.policies.activate_policy(row, policy, who="test", now_s=self.now_s)

    def add(self, text: str, **data: object) -> int:
        (number,) = self.studio.add(text)
        self.studio.tasks[number] = replace(self.studio.tasks[number], data={"text": text, **data})
        return number

    def turn(self) -> Turn:
        return self.loop.turn("7")

    def load_snapshot(self, cache: SnapshotCache) -> ProjectSnapshot:
        project = self.store.projects.get_project("7")
        assert project is not None
        config = read_label_config(TEXT_CONFIG)
        return cache.load(self.store, project, project.policy, config, config.control())

    def signal(self, task: int | None, name: str = "user_report", value: object = "scam", key: str = "k") -> None:
        body = {"project": "7", "task": task, "signal": name, "value": value, "id": key}
        SignalHandler(self.store, clock=lambda: self.now_s)(body)

    def decided_labels(self) -> dict[int, str | None]:
        """The label of each task that is settled: by its votes or by review."""
        snapshot, review = self.load_snapshot(SnapshotCache()), FinalAnswerCache()
        labels = review.apply(ConsensusCache().decide(snapshot), review.load(self.store, snapshot), snapshot)
        return {label.task: single_label(label.answer) for label in labels.settled}

    def outcome(self, task: int) -> str:
        return self.store.decisions.list_current_decisions("7")[task][0].outcome

    def order(self) -> list[int]:
        """Whom Label Studio would hand which task, one person after another without answering."""
        places = self.studio.rows[self.studio.version]
        free = [task for task in self.studio.tasks.values() if not task.is_labeled and task.id in places]
        return [task.id for task in sorted(free, key=lambda task: places[task.id].place)]
