"""Three annotators on a real Label Studio, one of them careless: found, asked about, outweighed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from feedback.activating import activate, policy_of
from feedback.connecting import connect, disconnect
from feedback.learning.concluding import conclude
from feedback.learning.opinions import Weighing
from feedback.learning.renewal import renew
from feedback.learning.scene import Scene, read_scene
from feedback.learning.workshop import Workshop
from feedback.loop import Loop
from feedback.people.goldbook import add_gold
from feedback.platform import LabelStudio
from feedback.policy import read_policy
from feedback.rooms import LabelStudioRooms
from feedback.settings import Settings
from feedback.store import Store, open_store
from feedback.turning import Turn
from ml_backend.label_config import read_label_config
from ml_backend.labelstudio.client import Client
from ml_backend.records import Answer
from ml_backend.registry import FolderRegistry
from tests.support.label_studio import Project, Site, StubBackend, says

pytestmark = pytest.mark.e2e

POLICY = read_policy("""
[queue]
window = 100
head = 2
[audit]
share = 0.0
[overlap]
share = 0.7
votes = 3
[gold]
onboarding = 4
pause_below = 0.75
[train]
min_rows = 500
""")
RIGHT = (0.97, 0.88, 0.35)  # ada, ben, and cleo who is careless
SEED = 11  # of who errs where: by task and person, whatever is drawn and whoever comes first
TASKS = 80


class Crowd:
    """A connected project, the loop around it, and three people."""

    def __init__(self, site: Site, project: Project, backend: StubBackend, store: Store, folder: Path) -> None:
        self.site, self.project, self.store = site, project, store
        self.rng = random.Random(6)
        settings = Settings(
            label_studio_url=site.url,
            label_studio_api_key=site.process.admin.token,
            public_url=backend.url,
            webhook_secret="a-secret-of-ours",
        )
        self.truth = {task: self.rng.choice(("good", "bad")) for task in project.tasks}
        connect(settings, store, site.admin, project.id, policy=POLICY, now_s=time.time())
        self.platform = LabelStudio(site.admin, store)
        self.loop = Loop(
            store,
            platform=self.platform,
            workshop=Workshop(lambda: ()),
            folder=FolderRegistry(folder),
            policies=policy_of,
            clock=time.time,
            rooms=LabelStudioRooms(site.admin),
        )

    def turn(self) -> Turn:
        return self.loop.turn(self.project.id)

    def answer(self, person: int, n: int) -> list[int]:
        """The next n tasks that Label Studio hands out, answered as well as this person can."""
        client: Client = self.site.people[person]
        done = []
        for _ in range(n):
            task = client.next_task(self.project.id)
            if task is None:
                break
            number = int(task["id"])
            right = self.truth[number]
            wrong = "bad" if right == "good" else "good"
            client.submit(number, says(right if self.is_right(number, person) else wrong), lead_time=2.0)
            done.append(number)
        return done

    def is_right(self, task: int, person: int) -> bool:
        place = self.project.tasks.index(task)
        return random.Random(f"{SEED}/{place}/{person}").random() < RIGHT[person]

    def work(self) -> list[Turn]:
        """Everybody answers in turns until nothing is handed out any more."""
        turns = []
        for _ in range(60):
            given = sum(len(self.answer(person, 5)) for person in range(3))
            turns.append(self.turn())
            if not given and not turns[-1].reopened:
                break
        return turns

    def scene(self) -> Scene:
        row = self.store.project(self.project.id)
        assert row is not None
        config = read_label_config(row.label_config)
        return read_scene(self.store, row, policy_of(row), config, config.control())

    def user(self, person: int) -> int:
        return int(self.site.people[person].me()["id"])


@pytest.fixture
def crowd(request: pytest.FixtureRequest, site: Site, backend: StubBackend, tmp_path: Path) -> Iterator[Crowd]:
    store = open_store(f"sqlite:///{tmp_path / 'hitl.db'}", durability="normal")
    store.set_secret("draws", "the same drawn tasks in every run")
    with site.project(getattr(request, "param", TASKS)) as project:
        made = Crowd(site, project, backend, store, tmp_path / "models")
        yield made
        disconnect(store, site.admin, project.id)
    store.close()


def test_a_careless_annotator_is_found_asked_about_and_outweighed(crowd: Crowd):
    crowd.turn()
    turns = crowd.work()
    scene = crowd.scene()
    votes = Counter(vote.task for vote in scene.votes)

    assert sum(turn.reopened for turn in turns) > 20  # second opinions were asked in place
    assert all(votes[task] == 3 for task in scene.doubled)
    assert set(votes) == set(scene.tasks)

    kept = crowd.store.latest(crowd.project.id, "people")
    assert kept is not None
    first, *others = kept.body["people"]
    assert first["person"] == crowd.user(2)
    assert "surely below 0.75" in first["advice"]
    assert [one["advice"] for one in others] == ["", ""]
    assert others[-1]["accuracy"]["low"] > first["accuracy"]["high"]

    settled = {one.task: one for one in conclude(scene, Weighing()).settled}
    shared = sorted(scene.doubled)
    ours = sum(settled[task].answer == Answer("choices", (crowd.truth[task],)) for task in shared)
    # of three people two decide: weighing them gains on average nothing to speak of, and must lose nothing either
    assert ours >= sum(_majority(scene, task) == crowd.truth[task] for task in shared) - 2
    raw = [vote.answer == Answer("choices", (crowd.truth[vote.task],)) for vote in scene.votes if vote.task in shared]
    assert ours / len(shared) > sum(raw) / len(raw) + 0.05

    careless = {vote.task for vote in scene.votes if vote.person == crowd.user(2)} - scene.doubled
    careful = {vote.task for vote in scene.votes if vote.person == crowd.user(0)} - scene.doubled
    again = {task for task, n in votes.items() if n > 1} - scene.doubled
    assert len(again & careless) > len(again & careful - careless)  # what a careless person said pays to be asked again


@pytest.mark.parametrize("crowd", [30], indirect=True)
def test_gold_tasks_meet_every_new_person_first_and_look_like_any_other(crowd: Crowd):
    scene = crowd.scene()
    chosen = list(crowd.project.tasks)[10:14]
    add_gold(
        crowd.store,
        crowd.project.id,
        {task: Answer("choices", (crowd.truth[task],)) for task in chosen},
        {task: scene.units[task] for task in chosen},
    )
    crowd.turn()
    first = crowd.answer(0, 4)
    crowd.turn()
    handed = crowd.site.people[1].next_task(crowd.project.id)
    assert handed is not None
    second = crowd.answer(1, 4)
    crowd.turn()
    other = crowd.site.people[1].next_task(crowd.project.id)

    assert set(first) == set(second) == set(chosen)
    assert other is not None
    assert set(handed) == set(other)
    assert [row["result"] for row in handed["predictions"]] == [[]]
    assert handed["annotations"] == other["annotations"] == []
    assert other["id"] not in chosen


@pytest.mark.parametrize("crowd", [14], indirect=True)
def test_a_label_that_changed_is_asked_again_first_and_the_consensus_is_written_back_once(crowd: Crowd):
    row = crowd.store.project(crowd.project.id)
    assert row is not None
    wanted = read_policy("[queue]\nwindow = 100\nhead = 2\n[audit]\nshare = 0.0\n[overlap]\nshare = 0.0\n"
                         "[consensus]\nwrite_back = true\n[train]\nmin_rows = 500")  # fmt: skip
    activate(crowd.store, row, wanted, who="test", now_s=time.time())
    crowd.turn()
    crowd.answer(0, 6)
    crowd.turn()
    scene = crowd.scene()
    label = next(str(vote.answer.value[0]) for vote in scene.votes)  # type: ignore[index]
    done = renew(crowd.store, crowd.project.id, scene.votes, scene.control.labels, label=label, now_s=time.time())
    stale = {vote.task for vote in scene.votes if vote.annotation in done.versions}
    turn = crowd.turn()
    handed = crowd.answer(1, len(stale))

    assert turn.reopened == len(stale) > 0
    assert set(handed) == stale
    crowd.turn()
    assert {vote.task for vote in crowd.scene().votes} == {vote.task for vote in scene.votes}
    assert not {vote.annotation for vote in crowd.scene().votes} & done.versions.keys()

    third = replace(crowd.scene().project, overlap=2)
    crowd.store.save_project(third)
    crowd.turn()
    crowd.work()
    shared = [one for one in conclude(crowd.scene(), Weighing()).settled if one.votes > 1]
    for _ in range(3):
        crowd.turn()
    written = crowd.store.records(crowd.project.id, "written_back", limit=1000)
    assert {one.body["task"] for one in written} == {one.task for one in shared}
    assert all(one.body["starred"] for one in written)
    own = {one.body["annotation"] for one in written}
    assert len(own) == len(written)
    assert not own & {vote.annotation for vote in crowd.scene().votes}


def _majority(scene: Scene, task: int) -> str:
    said = Counter(vote.answer.value[0] for vote in scene.votes if vote.task == task)  # type: ignore[index]
    return str(said.most_common(1)[0][0])
