"""The loop over a real store and real models; Label Studio is the fake that passes the platform's contract."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from feedback import events
from feedback.connecting import policy_of
from feedback.errors import NotConnected
from feedback.learning.challenge import learned_annotations
from feedback.learning.renewal import renew
from feedback.learning.scene import project_draws
from feedback.learning.workshop import Workshop
from feedback.loop import Loop
from feedback.people.goldbook import add_gold
from feedback.policy import Policy
from feedback.policy.schema import Audit, Overlap, Queue, Train
from feedback.store import ProjectRow, Store, open_store
from feedback.turning import Turn
from ml_backend.predictor import COLD
from ml_backend.records import Answer
from ml_backend.registry import FolderRegistry
from tests.support.fake_platform import TEXT_CONFIG, FakeLabelStudio

FRUIT = ["apple", "pear", "plum", "cherry", "banana", "grape", "melon", "lemon"]
TOOLS = ["hammer", "saw", "drill", "wrench", "chisel", "pliers", "lathe", "vice"]
POLICY = Policy(
    queue=Queue(window=30, head=3),
    overlap=Overlap(share=0.0),
    audit=Audit(share=0.3),
    train=Train(min_rows=8, min_new=8),
)


def truth(text: str) -> str:
    return "fruit" if text.split()[1] in FRUIT else "tool"


def texts(n: int, seed: int = 3) -> list[str]:
    rng = random.Random(seed)
    return [f"a{number} {rng.choice(FRUIT + TOOLS)} {rng.choice(['red', 'old', 'big'])}" for number in range(n)]


class World:
    """One project, its store, its loop and its people."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder, self.studio = store, folder, FakeLabelStudio()
        self.studio.add(*texts(120))
        self.loop = self.new_loop()

    def new_loop(self, *, alone: bool = False) -> Loop:
        clock = iter(range(1_000_000))
        return Loop(
            self.store,
            platform=None if alone else self.studio,
            workshop=Workshop(lambda: ()),
            folder=FolderRegistry(self.folder),
            policies=policy_of,
            clock=lambda: float(next(clock)),
        )

    def connect(self, policy: Policy = POLICY, **fields: object) -> None:
        row = ProjectRow("7", "fake", TEXT_CONFIG, connected=True, options={"policy": policy.model_dump(mode="json")})
        self.store.save_project(replace(row, **fields))

    def turn(self) -> Turn:
        return self.loop.turn("7")

    def label(self, n: int, *, person: int = 1) -> list[int]:
        done = []
        for _ in range(n):
            task = self.studio.next_task(person)
            if task is None:
                break
            done.append(self.studio.answer(task, truth(str(self.studio.tasks[task].data["text"])), person=person))
        return done


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = open_store(f"sqlite:///{tmp_path / 'hitl.sqlite3'}")
    store.set_secret("draws", "the same audit stream in every run")
    made = World(store, tmp_path / "models")
    made.connect()
    yield made
    store.close()


def test_the_first_turn_asks_without_faking_an_answer(world: World):
    turn = world.turn()

    assert turn.window == f"{COLD}+q1"
    rows = world.store.window("7")
    assert len(rows) == 30
    assert all(row.answer is None and row.confidence is None for row in rows)
    assert world.studio.version == turn.window


def test_half_of_the_first_questions_feed_the_audit(world: World):
    world.turn()
    rows = world.store.window("7")

    assert 13 <= sum(row.blind for row in rows) <= 17


def test_answers_become_a_model_that_serves_and_orders(world: World):
    world.turn()
    given = world.label(25)
    turn = world.turn()

    assert turn.verdict.startswith("promoted")
    assert turn.version.startswith("m")
    learned = learned_annotations(world.store, "7", turn.version)
    assert learned
    assert learned <= set(given)
    assert turn.window == f"{turn.version}+q2"
    shown = [row for row in world.store.window("7") if row.answer is not None]
    assert shown
    assert all(0.5 <= float(row.confidence or 0) <= 1.0 for row in shown)
    assert world.studio.next_task(1) == world.store.window("7")[0].task
    assert FolderRegistry(world.folder).champion("7") == world.store.registry.champion("7")


def test_audit_answers_are_never_learned_from(world: World):
    world.turn()
    world.label(40)
    turn = world.turn()
    blind = {row.task for row in world.store.window("7", f"{COLD}+q1") if row.blind}
    audited = {one.id for one in world.studio.annotations.values() if one.task in blind}

    assert audited
    assert not audited & learned_annotations(world.store, "7", turn.version)


def test_a_turn_without_news_writes_nothing(world: World):
    world.turn()
    world.label(25)
    world.turn()
    before = (world.studio.writes, len(world.store.records("7", "verdict")), world.store.registry.versions("7"))
    again = world.turn()

    assert (again.verdict, again.asked, again.collected) == ("", "", 0)
    assert (world.studio.writes, len(world.store.records("7", "verdict")), world.store.registry.versions("7")) == before


def test_under_one_model_the_window_grows_at_its_end(world: World):
    world.turn()
    world.label(19)
    world.connect(POLICY.model_copy(update={"train": Train(min_rows=500)}))
    turn = world.turn()
    rows = world.store.window("7")

    assert turn.window == f"{COLD}+q1"
    assert "11 of 30 rows are left" in turn.asked
    assert len(rows) == 30 + 19
    assert len({row.task for row in rows}) == len({row.place for row in rows}) == 49


def test_a_second_opinion_is_asked_in_place_and_blind(world: World):
    world.connect(POLICY.model_copy(update={"overlap": Overlap(share=1.0, votes=2)}))
    world.turn()
    world.label(2, person=1)
    world.label(1, person=2)
    turn = world.turn()
    again = [task.id for task in world.studio.tasks.values() if task.overlap == 2 and not task.is_labeled]

    assert turn.reopened == len(again) == 3
    assert turn.settled == 0
    assert all(row.blind for row in world.store.window("7") if row.task in again)
    assert world.studio.next_task(2) in again
    world.label(2, person=2)
    world.label(1, person=1)
    assert world.turn().settled == 3


def test_a_project_with_overlap_reaches_its_votes_by_re_opening(world: World):
    world.connect(overlap=3)
    world.turn()
    task = world.studio.next_task(1)
    assert task is not None
    for person in (1, 2, 3):
        assert not world.studio.tasks[task].is_labeled
        world.studio.answer(task, "fruit", person=person)
        turn = world.turn()

    assert turn.settled == 1
    assert world.studio.tasks[task].is_labeled


def test_a_paused_project_learns_but_is_not_written_to(world: World):
    world.turn()
    world.label(25)
    writes = world.studio.writes
    world.connect(paused=True)
    turn = world.turn()

    assert turn.verdict.startswith("promoted")
    assert world.studio.writes == writes
    assert any("paused" in note for note in turn.notes)
    world.connect(paused=False)
    assert world.turn().window == f"{turn.version}+q2"


def test_label_studio_being_away_stops_the_asking_only(world: World):
    world.turn()
    world.label(25)
    world.turn()
    world.studio.down = True
    turn = world.turn()
    assert any("cannot be reached" in note for note in turn.notes)

    world.studio.down = False
    world.label(10)
    assert world.turn().collected > 0


def test_a_kill_while_the_window_is_written_is_healed_by_the_next_turn(world: World):
    world.turn()
    world.label(25)
    world.studio.stop_after = 4
    with pytest.raises(KeyboardInterrupt):
        world.turn()
    version = world.store.registry.champion("7")
    assert version is not None
    assert len(world.studio.rows[f"{version.version}+q2"]) == 4

    world.studio.stop_after = None
    world.loop = world.new_loop()  # the process that was killed is gone
    turn = world.turn()

    assert turn.asked == "the last window was cut short"
    assert turn.window == f"{version.version}+q2"
    assert len(world.studio.rows[turn.window]) == 30
    assert world.turn().asked == ""


def test_a_kill_before_the_commit_of_a_training_changes_nothing_in_the_outcome(world: World, monkeypatch):
    world.turn()
    world.label(25)
    with monkeypatch.context() as patch:
        patch.setattr("feedback.learning.challenge.pack", _killed)
        with pytest.raises(KeyboardInterrupt):
            world.turn()
    assert world.store.registry.champion("7") is None

    turn = world.turn()
    assert turn.verdict.startswith("promoted")
    assert len(world.store.records("7", "training")) == len(world.store.records("7", "verdict")) == 1


def test_what_webhooks_missed_is_collected_and_what_vanished_goes(world: World):
    world.turn()
    given = world.label(5)
    assert world.turn().collected > 0
    vanished = world.studio.annotations.pop(given[0])
    task = world.studio.tasks[vanished.task]
    world.studio.tasks[task.id] = replace(task, is_labeled=False, updated_at="2026-06-01T00:00:00Z")

    turn = world.turn()
    assert turn.answers == 4


def test_without_label_studio_webhooks_alone_teach(world: World):
    world.store.save_project(ProjectRow("7", "hooks", TEXT_CONFIG, options={"policy": POLICY.model_dump(mode="json")}))
    world.loop = world.new_loop(alone=True)
    for task_id in list(world.studio.tasks)[:60]:
        world.studio.answer(task_id, truth(str(world.studio.tasks[task_id].data["text"])))
    for task, given in world.studio.changed("7", ""):
        world.store.append(events.of_task(task, given, source="webhook"))

    turn = world.turn()
    assert turn.verdict.startswith("promoted")
    assert turn.window == ""


def test_bots_and_imports_are_never_votes(world: World):
    world.connect(bots=(99,))
    world.turn()
    world.label(6, person=99)

    assert world.turn().answers == 0


def test_an_unknown_project_and_an_unreadable_config_are_told(world: World):
    with pytest.raises(NotConnected, match="project 8 is not known"):
        world.loop.turn("8")
    world.studio.label_config = "<View><Choices"
    world.store.save_project(ProjectRow("9", "broken", connected=True))

    assert any("cannot be read" in note for note in world.loop.turn("9").notes)


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_tasks_that_are_deleted_and_imported_again_are_asked_and_their_answers_count(world: World):
    """Label Studio on SQLite gives the same numbers again, and tells nobody that all tasks were deleted."""
    world.turn()
    world.label(25)
    first = world.turn()
    world.studio.delete_all()
    again = world.studio.add(*texts(120, seed=4))
    world.loop = world.new_loop()

    turn = world.turn()

    assert sorted(world.studio.tasks) == again == sorted(task.id for task in world.store.tasks("7"))
    assert world.store.votes("7") == []
    assert turn.window == f"{first.version}+q3"
    assert "others have their numbers" in turn.asked
    assert len(world.studio.rows[turn.window]) == 30
    given = world.label(25)
    later = world.turn()
    assert later.answers == 25
    assert "first" not in later.verdict
    assert later.verdict.startswith(("promoted", "kept"))
    assert learned_annotations(world.store, "7", later.verdict.split(": ")[1]) <= set(given)
    assert world.store.verify()["projection"] == "ok"


def test_gold_is_asked_of_everybody_first_and_never_learned_from(world: World):
    known = {task: Answer("choices", (truth(str(world.studio.tasks[task].data["text"])),)) for task in (5, 50, 90)}
    world.turn()
    draws = project_draws(world.store, known_row(world), POLICY)
    units = {task: draws.unit(world.studio.tasks[task].data) for task in known}
    add_gold(world.store, "7", known, units)
    world.label(25)
    turn = world.turn()
    front = world.store.window("7")[:3]

    assert turn.version
    assert {row.task for row in front} | {vote.task for vote in world.store.votes("7")} >= set(known)
    assert all(row.blind and row.answer is None for row in world.store.window("7") if row.task in known)
    world.label(30)
    world.turn()
    world.label(4, person=2)
    version = world.turn().version
    said = [(vote.task, vote.person) for vote in world.store.votes("7") if vote.task in known]
    assert sorted(said) == sorted((task, person) for task in known for person in (1, 2))
    gold = {vote.annotation for vote in world.store.votes("7") if vote.task in known}
    assert not gold & learned_annotations(world.store, "7", version)


def known_row(world: World) -> ProjectRow:
    row = world.store.project("7")
    assert row is not None
    return row


def test_an_ambiguous_label_is_split_asked_again_and_never_mixed(world: World):
    world.turn()
    world.label(25)
    world.turn()
    old = [vote for vote in world.store.votes("7") if vote.answer.value == ("tool",)]
    finer = TEXT_CONFIG.replace('<Choice value="tool"/>', '<Choice value="by hand"/><Choice value="with power"/>')
    world.connect(POLICY.model_copy(update={"train": Train(min_rows=8, min_new=3)}))
    world.studio.label_config = finer
    labels = ("fruit", "by hand", "with power")
    renew(world.store, "7", old, labels, label="tool", split=labels[1:], now_s=0.0)
    turn = world.turn()
    stale = {vote.task for vote in old}

    assert turn.reopened == len(stale) > 5
    assert turn.answers == 25 - len(stale)
    row = world.store.window("7")
    assert all(one.blind for one in row if one.task in stale)
    assert world.studio.next_task(2) in stale
    first = sorted(one.place for one in row if one.task in stale)
    assert first[0] < min(one.place for one in row if one.task not in stale)
    for _ in stale:
        task = world.studio.next_task(2)
        assert task is not None
        assert task in stale
        world.studio.answer(task, "by hand" if task % 2 else "with power", person=2)
    new = {one.id for one in world.studio.annotations.values() if one.person == 2}
    assert world.turn().answers == 25
    training = world.store.latest("7", "training")
    assert training is not None
    assert not {vote.annotation for vote in old} & set(training.body["annotations"])
    assert new & set(training.body["annotations"])


def asked_twice(world: World) -> Turn:
    """Two people, and a policy that wants two votes on every task: 60 tasks wait for the second one."""
    parts = {"overlap": Overlap(share=1.0, votes=2), "queue": Queue(window=10, head=3)}
    world.connect(POLICY.model_copy(update=parts))
    for number in range(1, 61):
        world.studio.answer(number, truth(str(world.studio.tasks[number].data["text"])))
    world.studio.answer(61, "fruit", person=2)
    return world.turn()


def test_a_window_takes_in_no_more_second_opinions_than_it_holds(world: World):
    turn = asked_twice(world)
    second = world.turn()

    rows = world.store.window("7")
    assert len(rows) <= 20
    assert turn.reopened == 61
    assert second.reopened == 0
    assert second.window == turn.window
    assert world.turn().asked == ""  # the next come when half of these are answered
    for row in rows:
        if row.task <= 60 and not world.studio.tasks[row.task].is_labeled:
            world.studio.answer(row.task, "fruit", person=2)
    assert "second opinions" in world.turn().asked


def test_tasks_are_opened_again_a_few_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("feedback.placing._REOPENED_AT_ONCE", 25)

    done = [asked_twice(world).reopened, world.turn().reopened, world.turn().reopened, world.turn().reopened]

    assert done == [25, 25, 11, 0]
    assert "turn" in {row.kind for row in world.store.works()}


def test_what_bots_and_we_ourselves_write_changes_neither_training_nor_agreement(world: World):
    world.connect(POLICY.model_copy(update={"overlap": Overlap(share=0.5, votes=2)}), bots=(99,))
    world.turn()
    for person in (1, 2, 1, 2):
        world.label(15, person=person)
        world.turn()
    before = [world.store.records("7", kind) for kind in ("training", "agreement", "people")]
    for task in list(world.studio.tasks)[:100]:
        world.studio.answer(task, "fruit", person=99)
    ours = [world.studio.answer(task, "fruit", person=3) for task in list(world.studio.tasks)[:100]]
    world.store.own("7", annotations=ours)
    turn = world.turn()

    assert len(world.store.annotations("7")) >= 200 + turn.answers
    assert turn.verdict == ""
    assert [world.store.records("7", kind) for kind in ("training", "agreement", "people")] == before
    assert all(before)
    learned = {one for record in before[0] for one in record.body["annotations"]}
    people = {one.id: one.person for one in world.studio.annotations.values()}
    assert {people[one] for one in learned} <= {1, 2}


def test_who_is_forgotten_is_learned_from_no_more_at_the_next_turn(world: World):
    world.turn()
    world.label(40, person=1)
    theirs = world.label(4, person=2)
    before = world.turn()
    assert learned_annotations(world.store, "7", before.version) & set(theirs)

    gone = world.store.forget("7", person=2)
    turn = world.turn()

    newest = world.store.latest("7", "training")
    assert newest is not None
    assert gone.models == (before.version,)
    assert newest.body["reason"].endswith("answers that it learned from were forgotten")
    assert not set(newest.body["annotations"]) & set(theirs)
    assert turn.verdict
    assert world.turn().verdict == ""
