"""Asking again: gold, labels that changed, second opinions, and tasks and people that went away."""

from __future__ import annotations

import pytest

from feedback.annotators.gold import add_gold
from feedback.loop.context import Turn
from feedback.policy.schema import Overlap, Queue, Train
from feedback.project.label_changes import record_label_change
from feedback.project.snapshot import load_splits
from feedback.store import ProjectRow
from feedback.training.challenger import learned_annotations
from ml_backend.records import Answer
from tests.support.fake_platform import TEXT_CONFIG
from tests.support.one_project import POLICY, World, texts, truth


def test_tasks_that_are_deleted_and_imported_again_are_asked_and_their_answers_count(world: World):
    """Label Studio on SQLite gives the same numbers again, and tells nobody that all tasks were deleted."""
    world.turn()
    world.label(25)
    first = world.turn()
    world.studio.delete_all()
    again = world.studio.add(*texts(120, seed=4))
    world.loop = world.new_loop()

    turn = world.turn()

    assert sorted(world.studio.tasks) == again == sorted(task.id for task in world.store.tasks.list_tasks("7"))
    assert world.store.votes.list_votes("7") == []
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
    draws = load_splits(world.store, known_row(world), POLICY)
    units = {task: draws.dedup_key(world.studio.tasks[task].data) for task in known}
    add_gold(world.store, "7", known, units)
    world.label(25)
    turn = world.turn()
    front = world.store.windows.get_window("7")[:3]

    assert turn.version
    assert {row.task for row in front} | {vote.task for vote in world.store.votes.list_votes("7")} >= set(known)
    assert all(row.blind and row.answer is None for row in world.store.windows.get_window("7") if row.task in known)
    world.label(30)
    world.turn()
    world.label(4, person=2)
    version = world.turn().version
    answered = [(vote.task, vote.person) for vote in world.store.votes.list_votes("7") if vote.task in known]
    assert sorted(answered) == sorted((task, person) for task in known for person in (1, 2))
    gold = {vote.annotation for vote in world.store.votes.list_votes("7") if vote.task in known}
    assert not gold & learned_annotations(world.store, "7", version)


def known_row(world: World) -> ProjectRow:
    row = world.store.projects.get_project("7")
    assert row is not None
    return row


def test_an_ambiguous_label_is_split_and_requested_again_and_never_mixed(world: World):
    world.turn()
    world.label(25)
    world.turn()
    old = [vote for vote in world.store.votes.list_votes("7") if vote.answer.value == ("tool",)]
    finer = TEXT_CONFIG.replace('<Choice value="tool"/>', '<Choice value="by hand"/><Choice value="with power"/>')
    world.connect(POLICY.model_copy(update={"train": Train(min_rows=8, min_new=3)}))
    world.studio.label_config = finer
    labels = ("fruit", "by hand", "with power")
    record_label_change(world.store, "7", old, labels, label="tool", split=labels[1:], now_s=0.0)
    turn = world.turn()
    stale = {vote.task for vote in old}

    assert turn.reopened == len(stale) > 5
    assert turn.answers == 25 - len(stale)
    row = world.store.windows.get_window("7")
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
    training = world.store.records.get_latest_record("7", "training")
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

    rows = world.store.windows.get_window("7")
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
    monkeypatch.setattr("feedback.loop.reopen_tasks._MAX_TASKS_PER_TURN", 25)

    done = [asked_twice(world).reopened, world.turn().reopened, world.turn().reopened, world.turn().reopened]

    assert done == [25, 25, 11, 0]
    assert "turn" in {row.kind for row in world.store.jobs.list_jobs()}


@pytest.mark.slow
def test_what_bots_and_we_ourselves_write_changes_neither_training_nor_agreement(world: World):
    world.connect(POLICY.model_copy(update={"overlap": Overlap(share=0.5, votes=2)}), bots=(99,))
    world.turn()
    for person in (1, 2, 1, 2):
        world.label(15, person=person)
        world.turn()
    before = [world.store.records.list_records("7", kind) for kind in ("training", "agreement", "people")]
    for task in list(world.studio.tasks)[:100]:
        world.studio.answer(task, "fruit", person=99)
    ours = [world.studio.answer(task, "fruit", person=3) for task in list(world.studio.tasks)[:100]]
    world.store.annotations.create_own_annotations("7", annotations=ours)
    turn = world.turn()

    assert len(world.store.annotations.list_annotations("7")) >= 200 + turn.answers
    assert turn.verdict == ""
    assert [world.store.records.list_records("7", kind) for kind in ("training", "agreement", "people")] == before
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

    gone = world.store.erasure.erase_data("7", person=2)
    turn = world.turn()

    newest = world.store.records.get_latest_record("7", "training")
    assert newest is not None
    assert gone.models == (before.version,)
    assert newest.body["reason"].endswith("answers that it learned from were forgotten")
    assert not set(newest.body["annotations"]) & set(theirs)
    assert turn.verdict
    assert world.turn().verdict == ""
