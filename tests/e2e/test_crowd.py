"""Three annotators on a real Label Studio, one of them careless: found, asked about, outweighed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from feedback.annotators.gold import add_gold
from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
from feedback.loop.context import Turn
from feedback.policy import read_policy
from feedback.project.connect import connect, disconnect
from feedback.project.label_changes import record_label_change
from feedback.project.snapshot import ProjectSnapshot, load_snapshot
from feedback.store import Store, Vote, open_store
from feedback.training.consensus_labels import (
    ConsensusCache,
    ConsensusLabels,
    reweigh_with_model,
)
from feedback.training.dataset import build
from feedback.training.model_vote import reweighed
from feedback.training.trainer import train
from ml_backend.labelstudio.client import Client
from ml_backend.models import recipe_for
from ml_backend.records import Answer
from tests.support.connected import loop_of, settings_of
from tests.support.crowds import settle
from tests.support.label_studio import Project, Site, StubBackend, choice_result

pytestmark = pytest.mark.e2e

POLICY = read_policy("""
[queue]
window = 100
head = 2
[audit]
share = 0.0
[overlap]
share = 0.5
votes = 2
[gold]
onboarding = 20
pause_below = 0.75
[train]
min_rows = 500
""")
RIGHT = (0.97, 0.88, 0.2)  # ada, ben, and cleo who is careless
TASKS, GOLD = 100, 20  # simulated: what is promised below then fails in less than one run of a thousand
_RNG = random.Random(0)
NONSENSE = ["".join(_RNG.choice("bcdfghklmnprstvz") + _RNG.choice("aeiou") for _ in range(3)) for _ in range(60)]
GOOD_WORDS, BAD_WORDS = NONSENSE[:30], NONSENSE[30:]  # nothing in a word tells which it is: each must be learned


class Crowd:
    """A connected project, the loop around it, and three people."""

    def __init__(self, site: Site, project: Project, backend: StubBackend, store: Store, folder: Path) -> None:
        self.site, self.project, self.store = site, project, store
        self.truth = {task: label for task, (_, label) in zip(project.tasks, texts(len(project.tasks)), strict=True)}
        connect(settings_of(site, backend), store, site.admin, project.id, policy=POLICY, now_s=time.time())
        self.platform = LabelStudioAdapter(site.admin, store)
        self.loop = loop_of(store, folder, platform=self.platform)

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
            client.submit(number, choice_result(right if self.is_right(number, person) else wrong), lead_time=2.0)
            done.append(number)
        return done

    def is_right(self, task: int, person: int) -> bool:
        return random.Random(f"{self.project.tasks.index(task)}/{person}").random() < RIGHT[person]

    def work(self) -> list[Turn]:
        """Everybody answers in turns until nothing is handed out any more."""
        turns = []
        for _ in range(60):
            given = sum(len(self.answer(person, 5)) for person in range(3))
            turns.append(self.turn())
            if not given and not turns[-1].reopened:
                break
        return turns

    def snapshot(self) -> ProjectSnapshot:
        row = self.store.projects.get_project(self.project.id)
        assert row is not None
        return load_snapshot(self.store, row, row.policy)

    def user(self, person: int) -> int:
        return int(self.site.people[person].me()["id"])


@pytest.fixture
def crowd(request: pytest.FixtureRequest, site: Site, backend: StubBackend, tmp_path: Path) -> Iterator[Crowd]:
    store = open_store(f"sqlite:///{tmp_path / 'hitl.db'}", durability="normal")
    store.secrets.save_secret("draws", "the same drawn tasks in every run")
    with site.project(0) as empty:
        import_rows = [{"data": {"text": text}} for text, _ in texts(getattr(request, "param", TASKS))]
        project = replace(empty, tasks=tuple(site.admin.import_tasks(empty.id, import_rows)))
        made = Crowd(site, project, backend, store, tmp_path / "models")
        yield made
        disconnect(store, site.admin, project.id)
    store.close()


def test_a_careless_annotator_is_found_asked_about_and_outweighed(crowd: Crowd):
    chosen = list(crowd.project.tasks)[:GOLD]
    units = crowd.snapshot().dedup_keys
    known = {task: Answer("choices", (crowd.truth[task],)) for task in chosen}
    add_gold(crowd.store, crowd.project.id, known, {task: units[task] for task in chosen})
    crowd.turn()
    turns = crowd.work()
    crowd.loop.report(crowd.project.id)
    snapshot = crowd.snapshot()
    asked = {
        task: sorted((v for v in snapshot.votes if v.task == task), key=lambda v: v.at_s) for task in snapshot.tasks
    }
    others = [task for task in snapshot.tasks if task not in chosen]

    kept = crowd.store.records.get_latest_record(crowd.project.id, "people")
    assert kept is not None
    first, *rest = kept.body["people"]
    assert first["person"] == crowd.user(2)
    assert first["against"] == "gold"
    assert "proven below 75 %" in first["advice"]
    assert [one["advice"] for one in rest] == ["", ""]
    assert min(one["accuracy"]["low"] for one in rest) > first["accuracy"]["high"]
    assert all(one["onboarding"]["answered"] == one["onboarding"]["total"] == GOLD for one in kept.body["people"])

    first_asked = {task: 2 if task in snapshot.overlap_sample else 1 for task in others}
    again = {task for task in others if len(asked[task]) > first_asked[task]}
    differ = {
        task for task in others if task in snapshot.overlap_sample and len({v.answer for v in asked[task][:2]}) > 1
    }
    doubtful = {task for task in others if first_asked[task] == 1 and asked[task][0].person == crowd.user(2)}
    assert sum(turn.reopened for turn in turns) > len(again) > 10  # asked in place, one more person each time
    assert differ | doubtful >= again
    assert len(again & doubtful) > 0.8 * len(doubtful)  # what the careless one said alone is asked of somebody else

    consensus_cache = ConsensusCache()
    consensus_labels = consensus_cache.decide(snapshot)
    settled = {one.task: one.answer for one in consensus_labels.settled}
    ours = _share(settled.get(task) == Answer("choices", (crowd.truth[task],)) for task in others)
    raw = _share(_majority(asked[task][: first_asked[task]], crowd.truth[task]) for task in others)
    every = _share(_majority(asked[task], crowd.truth[task]) for task in others)
    assert ours > raw + 0.15  # the majority of those who were asked first
    assert ours > every + 0.10  # and of all who were asked in the end, ties split

    weighed, equal = _models(snapshot, consensus_cache, consensus_labels)
    assert weighed[0] > equal[0]  # accuracy on words of their own
    assert weighed[1] > equal[1] + 0.03  # the probability of what is right


@pytest.mark.parametrize("crowd", [30], indirect=True)
def test_gold_tasks_meet_every_new_person_first_and_look_like_any_other(crowd: Crowd):
    snapshot = crowd.snapshot()
    chosen = list(crowd.project.tasks)[10:14]
    add_gold(
        crowd.store,
        crowd.project.id,
        {task: Answer("choices", (crowd.truth[task],)) for task in chosen},
        {task: snapshot.dedup_keys[task] for task in chosen},
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
def test_a_changed_label_is_requested_again_first_and_the_consensus_is_written_once(crowd: Crowd):
    row = crowd.store.projects.get_project(crowd.project.id)
    assert row is not None
    wanted = read_policy("[queue]\nwindow = 100\nhead = 2\n[audit]\nshare = 0.0\n[overlap]\nshare = 0.0\n"
                         "[consensus]\nwrite_back = true\n[train]\nmin_rows = 500")  # fmt: skip
    crowd.store.policies.activate_policy(row, wanted, who="test", now_s=time.time())
    crowd.turn()
    crowd.answer(0, 6)
    crowd.turn()
    snapshot = crowd.snapshot()
    label = next(str(vote.answer.value[0]) for vote in snapshot.votes)  # type: ignore[index]
    done = record_label_change(
        crowd.store, crowd.project.id, snapshot.votes, snapshot.control.labels, label=label, now_s=time.time()
    )
    stale = {vote.task for vote in snapshot.votes if vote.annotation in done.versions}
    turn = crowd.turn()
    handed = crowd.answer(1, len(stale))

    assert turn.reopened == len(stale) > 0
    assert set(handed) == stale
    crowd.turn()
    assert {vote.task for vote in crowd.snapshot().votes} == {vote.task for vote in snapshot.votes}
    assert not {vote.annotation for vote in crowd.snapshot().votes} & done.versions.keys()

    third = replace(crowd.snapshot().project, overlap=2)
    crowd.store.projects.save_project(third)
    crowd.turn()
    crowd.work()
    shared = [one for one in ConsensusCache().decide(crowd.snapshot()).settled if one.votes > 1]
    for _ in range(3):
        crowd.turn()
    written = crowd.store.records.list_records(crowd.project.id, "written_back", limit=1000)
    assert {one.body["task"] for one in written} == {one.task for one in shared}
    assert all(one.body["starred"] for one in written)
    own = {one.body["annotation"] for one in written}
    assert len(own) == len(written)
    assert not own & {vote.annotation for vote in crowd.snapshot().votes}


def texts(n: int) -> list[tuple[str, str]]:
    """Texts and their truth: one word each tells which it is."""
    rng = random.Random(7)
    labels = [rng.choice(("good", "bad")) for _ in range(n)]
    return [
        (f"{at} {rng.choice(GOOD_WORDS if label == 'good' else BAD_WORDS)}", label) for at, label in enumerate(labels)
    ]


def _majority(votes: Sequence[Vote], truth: str) -> float:
    """1 where most votes say the truth, 0 where they do not; a tie is split."""
    counts = Counter(vote.answer.value[0] for vote in votes)  # type: ignore[index]
    leaders = [label for label, count in counts.items() if count == max(counts.values())]
    return (truth in leaders) / len(leaders)


def _share(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed)


def _models(
    snapshot: ProjectSnapshot, consensus_cache: ConsensusCache, consensus_labels: ConsensusLabels
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Accuracy and probability of the truth on unseen texts: trained as the loop does, and with all alike."""
    data = {task.id: task.data for task in snapshot.tasks.values()}
    labels, recipe = snapshot.control.labels, recipe_for(snapshot.control)
    rows = build(snapshot.control.name, labels, consensus_labels.settled, data, snapshot.roles)
    weighed = reweighed(rows, reweigh_with_model(snapshot, consensus_cache, rows, recipe, exclude=()))
    alike = build(snapshot.control.name, labels, settle(snapshot.votes, {}, max_votes=3).settled, data, snapshot.roles)
    alike = replace(alike, rows=tuple(replace(row, weight=1.0) for row in alike.rows))
    unseen = [(f"x {a} {b}", label) for label, words in (("good", GOOD_WORDS), ("bad", BAD_WORDS))
              for a in words for b in words]  # fmt: skip
    found = []
    for dataset in (weighed, alike):
        bundle = train(dataset, snapshot.control, recipe, config_hash="h", seed=0, now_s=0.0)
        table = bundle.proba([{"text": text} for text, _ in unseen])
        right = [row[bundle.classes.index(label)] for row, (_, label) in zip(table, unseen, strict=True)]
        found.append((_share(one > 0.5 for one in right), _share(right)))
    return found[0], found[1]
