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
from tests.support.connected_project import POLICY, ConnectedProject, texts, truth
from tests.support.fake_platform import TEXT_CONFIG


def test_tasks_that_are_deleted_and_imported_again_are_asked_and_their_answers_count(
    connected_project: ConnectedProject,
):
    """Label Studio on SQLite gives the same numbers again, and tells nobody that all tasks were deleted."""
    connected_project.turn()
    connected_project.label(25)
    first = connected_project.turn()
    connected_project.studio.delete_all()
    again = connected_project.studio.add(*texts(120, seed=4))
    connected_project.loop = connected_project.new_loop()

    turn = connected_project.turn()

    assert (
        sorted(connected_project.studio.tasks)
        == again
        == sorted(task.id for task in connected_project.store.tasks.list_tasks("7"))
    )
    assert connected_project.store.votes.list_votes("7") == []
    assert turn.window == f"{first.version}+q3"
    assert "others have their numbers" in turn.asked
    assert len(connected_project.studio.rows[turn.window]) == 30
    given = connected_project.label(25)
    later = connected_project.turn()
    assert later.answers == 25
    assert "first" not in later.verdict
    assert later.verdict.startswith(("promoted", "kept"))
    assert learned_annotations(connected_project.store, "7", later.verdict.split(": ")[1]) <= set(given)
    assert connected_project.store.verify()["projection"] == "ok"


def test_gold_is_asked_of_everybody_first_and_never_learned_from(connected_project: ConnectedProject):
    known = {
        task: Answer("choices", (truth(str(connected_project.studio.tasks[task].data["text"])),))
        for task in (5, 50, 90)
    }
    connected_project.turn()
    draws = load_splits(connected_project.store, known_row(connected_project), POLICY)
    units = {task: draws.dedup_key(connected_project.studio.tasks[task].data) for task in known}
    add_gold(connected_project.store, "7", known, units)
    connected_project.label(25)
    turn = connected_project.turn()
    front = connected_project.store.windows.get_window("7")[:3]

    assert turn.version
    assert {row.task for row in front} | {vote.task for vote in connected_project.store.votes.list_votes("7")} >= set(
        known
    )
    assert all(
        row.blind and row.answer is None for row in connected_project.store.windows.get_window("7") if row.task in known
    )
    connected_project.label(30)
    connected_project.turn()
    connected_project.label(4, person=2)
    version = connected_project.turn().version
    answered = [
        (vote.task, vote.person) for vote in connected_project.store.votes.list_votes("7") if vote.task in known
    ]
    assert sorted(answered) == sorted((task, person) for task in known for person in (1, 2))
    gold = {vote.annotation for vote in connected_project.store.votes.list_votes("7") if vote.task in known}
    assert not gold & learned_annotations(connected_project.store, "7", version)


def known_row(connected_project: ConnectedProject) -> ProjectRow:
    row = connected_project.store.projects.get_project("7")
    assert row is not None
    return row


def test_an_ambiguous_label_is_split_and_requested_again_and_never_mixed(connected_project: ConnectedProject):
    connected_project.turn()
    connected_project.label(25)
    connected_project.turn()
    old = [vote for vote in connected_project.store.votes.list_votes("7") if vote.answer.value == ("tool",)]
    finer = TEXT_CONFIG.replace('<Choice value="tool"/>', '<Choice value="by hand"/><Choice value="with power"/>')
    connected_project.connect(POLICY.model_copy(update={"train": Train(min_rows=8, min_new=3)}))
    connected_project.studio.label_config = finer
    labels = ("fruit", "by hand", "with power")
    record_label_change(connected_project.store, "7", old, labels, label="tool", split=labels[1:], now_s=0.0)
    turn = connected_project.turn()
    stale = {vote.task for vote in old}

    assert turn.reopened == len(stale) > 5
    assert turn.answers == 25 - len(stale)
    row = connected_project.store.windows.get_window("7")
    assert all(one.blind for one in row if one.task in stale)
    assert connected_project.studio.next_task(2) in stale
    first = sorted(one.place for one in row if one.task in stale)
    assert first[0] < min(one.place for one in row if one.task not in stale)
    for _ in stale:
        task = connected_project.studio.next_task(2)
        assert task is not None
        assert task in stale
        connected_project.studio.answer(task, "by hand" if task % 2 else "with power", person=2)
    new = {one.id for one in connected_project.studio.annotations.values() if one.person == 2}
    assert connected_project.turn().answers == 25
    training = connected_project.store.records.get_latest_record("7", "training")
    assert training is not None
    assert not {vote.annotation for vote in old} & set(training.body["annotations"])
    assert new & set(training.body["annotations"])


def asked_twice(connected_project: ConnectedProject) -> Turn:
    """Two people, and a policy that wants two votes on every task: 60 tasks wait for the second one."""
    parts = {"overlap": Overlap(share=1.0, votes=2), "queue": Queue(window=10, head=3)}
    connected_project.connect(POLICY.model_copy(update=parts))
    for number in range(1, 61):
        connected_project.studio.answer(number, truth(str(connected_project.studio.tasks[number].data["text"])))
    connected_project.studio.answer(61, "fruit", person=2)
    return connected_project.turn()


def test_a_window_takes_in_no_more_second_opinions_than_it_holds(connected_project: ConnectedProject):
    turn = asked_twice(connected_project)
    second = connected_project.turn()

    rows = connected_project.store.windows.get_window("7")
    assert len(rows) <= 20
    assert turn.reopened == 61
    assert second.reopened == 0
    assert second.window == turn.window
    assert connected_project.turn().asked == ""  # the next come when half of these are answered
    for row in rows:
        if row.task <= 60 and not connected_project.studio.tasks[row.task].is_labeled:
            connected_project.studio.answer(row.task, "fruit", person=2)
    assert "second opinions" in connected_project.turn().asked


def test_tasks_are_opened_again_a_few_at_a_time(connected_project: ConnectedProject, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("feedback.loop.reopen_tasks._MAX_TASKS_PER_TURN", 25)

    done = [
        asked_twice(connected_project).reopened,
        connected_project.turn().reopened,
        connected_project.turn().reopened,
        connected_project.turn().reopened,
    ]

    assert done == [25, 25, 11, 0]
    assert "turn" in {row.kind for row in connected_project.store.jobs.list_jobs()}


@pytest.mark.slow
def test_what_bots_and_we_ourselves_write_changes_neither_training_nor_agreement(connected_project: ConnectedProject):
    connected_project.connect(POLICY.model_copy(update={"overlap": Overlap(share=0.5, votes=2)}), bots=(99,))
    connected_project.turn()
    for person in (1, 2, 1, 2):
        connected_project.label(15, person=person)
        connected_project.turn()
    before = [connected_project.store.records.list_records("7", kind) for kind in ("training", "agreement", "people")]
    for task in list(connected_project.studio.tasks)[:100]:
        connected_project.studio.answer(task, "fruit", person=99)
    ours = [
        connected_project.studio.answer(task, "fruit", person=3) for task in list(connected_project.studio.tasks)[:100]
    ]
    connected_project.store.annotations.create_own_annotations("7", annotations=ours)
    turn = connected_project.turn()

    assert len(connected_project.store.annotations.list_annotations("7")) >= 200 + turn.answers
    assert turn.verdict == ""
    assert [
        connected_project.store.records.list_records("7", kind) for kind in ("training", "agreement", "people")
    ] == before
    assert all(before)
    learned = {one for record in before[0] for one in record.body["annotations"]}
    people = {one.id: one.person for one in connected_project.studio.annotations.values()}
    assert {people[one] for one in learned} <= {1, 2}


def test_who_is_forgotten_is_learned_from_no_more_at_the_next_turn(connected_project: ConnectedProject):
    connected_project.turn()
    connected_project.label(40, person=1)
    theirs = connected_project.label(4, person=2)
    before = connected_project.turn()
    assert learned_annotations(connected_project.store, "7", before.version) & set(theirs)

    gone = connected_project.store.erasure.erase_data("7", person=2)
    turn = connected_project.turn()

    newest = connected_project.store.records.get_latest_record("7", "training")
    assert newest is not None
    assert gone.models == (before.version,)
    assert newest.body["reason"].endswith("answers that it learned from were forgotten")
    assert not set(newest.body["annotations"]) & set(theirs)
    assert turn.verdict
    assert connected_project.turn().verdict == ""
