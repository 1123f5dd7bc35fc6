"""Machine answers count neither for training nor for agreement: 500 auto-accepts, 100 write-backs, no change."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from feedback.loop.turn import Loop
from feedback.policy import Policy
from feedback.policy.schema import Audit, Overlap, Queue, Train
from feedback.project.snapshot import ProjectSnapshot, load_snapshot
from feedback.reports.agreement_report import agreement_figures
from feedback.reports.annotator_report import annotator_figures
from feedback.store import ProjectRow, Store
from feedback.training.consensus_labels import ConsensusCache, ConsensusLabels
from feedback.training.dataset import Dataset, build
from feedback.training.model_factory import ModelFactory
from ml_backend.labelstudio.parsing import own_unique_id
from ml_backend.registry import FolderRegistry
from tests.support.fake_platform import TEXT_CONFIG, FakeLabelStudio

BOT, PEOPLE, RIGHT = 99, (1, 2, 3), {1: 0.97, 2: 0.9, 3: 0.6}
WORDS = {"fruit": ["apple", "pear", "plum", "cherry", "grape"], "tool": ["hammer", "saw", "drill", "lathe", "vice"]}
POLICY = Policy(
    queue=Queue(window=100, head=3),
    overlap=Overlap(share=0.4, votes=2, max_votes=2, adaptive=False),
    audit=Audit(share=0.1, start=0, quota=0.1),
    train=Train(min_rows=70, min_new=20, growth=0.0),
)


@dataclass(frozen=True)
class Known:
    """All that follows from people's answers."""

    fingerprint: str
    agreement: object
    people: object
    consensus_labels: ConsensusLabels


class ProjectWithBot:
    """Three people, a bot, and as many tasks as they need."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.studio, self.rng = store, FakeLabelStudio(), random.Random(4)
        self.truth: dict[int, str] = {}
        for number in range(800):
            label = self.rng.choice(("fruit", "tool"))
            (task,) = self.studio.add(f"a{number} {self.rng.choice(WORDS[label])}")
            self.truth[task] = label
        options = {"policy": POLICY.model_dump(mode="json")}
        store.projects.save_project(ProjectRow("7", "fake", TEXT_CONFIG, connected=True, bots=(BOT,), options=options))
        clock = iter(range(1_000_000))
        self.loop = Loop(
            store,
            platform=self.studio,
            model_factory=ModelFactory(lambda: ()),
            folder=FolderRegistry(folder),
            clock=lambda: float(next(clock)),
        )

    def work(self, n: int) -> None:
        for at in range(n):
            person = PEOPLE[at % len(PEOPLE)]
            task = self.studio.next_task(person)
            assert task is not None
            right = self.rng.random() < RIGHT[person]
            self.studio.answer(task, self.truth[task] if right else _other(self.truth[task]), person=person)
            if at % 30 == 29:
                self.loop.turn("7")
        self.loop.turn("7")

    def machine(self, task: int, label: str, **fields: object) -> int:
        """An annotation that no person made, as Label Studio would hold it; gives its number."""
        number = self.studio.answer(task, label, person=BOT)
        self.studio.annotations[number] = replace(self.studio.annotations[number], **fields)  # type: ignore[arg-type]
        self.studio.tasks[task] = replace(self.studio.tasks[task], is_labeled=True)
        return number

    def snapshot(self) -> ProjectSnapshot:
        row = self.store.projects.get_project("7")
        assert row is not None
        return load_snapshot(self.store, row, POLICY)

    def known(self) -> Known:
        snapshot = self.snapshot()
        consensus_labels = ConsensusCache().decide(snapshot)
        agreement = agreement_figures(snapshot)
        return Known(
            dataset(snapshot, consensus_labels).fingerprint,
            agreement,
            annotator_figures(self.store, snapshot),
            consensus_labels,
        )


def dataset(snapshot: ProjectSnapshot, consensus_labels: ConsensusLabels) -> Dataset:
    data = {task.id: task.data for task in snapshot.tasks.values()}
    return build("kind", snapshot.control.labels, consensus_labels.settled, data, snapshot.roles)


def _other(label: str) -> str:
    return "tool" if label == "fruit" else "fruit"


@pytest.fixture
def project_with_bot(store: Store, tmp_path: Path) -> ProjectWithBot:
    store.secrets.save_secret("draws", "the same draws in every run")
    return ProjectWithBot(store, tmp_path / "models")


@pytest.mark.slow
def test_after_500_auto_accepts_and_100_write_backs_nothing_but_people_is_learned_from(
    project_with_bot: ProjectWithBot,
):
    project_with_bot.loop.turn("7")
    project_with_bot.work(240)
    before, trained = project_with_bot.known(), project_with_bot.store.records.get_latest_record("7", "training")
    assert trained is not None
    assert trained.body["model_vote"]["rows"] > 40, trained.body["model_vote"]
    shared = [one for one in before.consensus_labels.settled if one.votes > 1]
    answered = {one.task for one in before.consensus_labels.settled}
    free = [task for task in project_with_bot.studio.tasks if task not in answered]

    for at, task in enumerate(free[:500]):  # wrong on purpose: what is learned from it would show
        label = _other(project_with_bot.truth[task])
        fields = {"ground_truth": True} if at % 3 == 0 else {"imported": True} if at % 3 == 1 else {}
        project_with_bot.machine(task, label, **fields)
    written = set[int]()
    for at, one in enumerate([*shared, *before.consensus_labels.settled][:100]):
        name = own_unique_id(f"review/7/{one.task}/consensus/{at}")
        if at % 2:
            project_with_bot.store.annotations.create_own_annotations("7", unique_ids=[name])
        # as the person whose token the service has: who answered tells nothing, what we wrote does
        number = project_with_bot.machine(one.task, _other(project_with_bot.truth[one.task]), person=1, unique_id=name)
        if not at % 2:  # known by its number, where Label Studio does not tell the unique id
            project_with_bot.studio.annotations[number] = replace(
                project_with_bot.studio.annotations[number], unique_id=None
            )
            project_with_bot.store.annotations.create_own_annotations("7", annotations=[number])
        written.add(number)
    turn = project_with_bot.loop.turn("7")

    machine = written | {number for number, one in project_with_bot.studio.annotations.items() if one.person == BOT}
    assert (len(machine), len(written)) == (600, 100)
    assert {one.id for one in project_with_bot.store.annotations.list_annotations("7")} >= machine
    after = project_with_bot.known()
    assert (after.fingerprint, after.agreement, after.people) == (before.fingerprint, before.agreement, before.people)
    assert after.consensus_labels.settled == before.consensus_labels.settled
    assert turn.verdict == ""
    assert project_with_bot.store.records.get_latest_record("7", "training") == trained

    for task in free[500:]:  # nobody is asked what the bot answered; people go on elsewhere
        project_with_bot.studio.tasks[task] = replace(project_with_bot.studio.tasks[task], is_labeled=False)
    project_with_bot.work(60)
    last = project_with_bot.store.records.get_latest_record("7", "training")
    assert last is not None
    assert last.key != trained.key
    assert not machine & set(last.body["annotations"])
    people = {n for n, one in project_with_bot.studio.annotations.items() if n not in machine}
    assert set(last.body["annotations"]) <= people
    assert {vote.annotation for vote in project_with_bot.snapshot().votes} == people
