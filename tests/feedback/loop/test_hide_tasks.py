"""What the first tier is not to see is hidden in Label Studio, and shown again when it is time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from feedback.policy import read_policy
from feedback.store import Store
from ml_backend.errors import LabelStudioError, NotFound
from ml_backend.records import Task
from tests.feedback.routing.world import SMALL, World, rules


@pytest.fixture
def world(store: Store, tmp_path: Path) -> World:
    return World(store, tmp_path / "models")


def test_without_rules_nothing_is_decided_and_nothing_recorded(world: World):
    world.use(read_policy(SMALL))
    world.add("a")
    turn = world.turn()

    assert world.store.decisions.list_current_decisions("7") == {}
    assert turn.notes == ()
    assert world.studio.next_task(1) == 1


def test_a_task_for_a_later_tier_is_shown_to_nobody_in_the_first(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    small, big = world.add("a", amount=5), world.add("b", amount=9000)
    world.turn()

    assert (world.outcome(small), world.outcome(big)) == ("L1", "L2")
    assert world.studio.tasks[big].is_labeled
    assert not world.studio.tasks[small].is_labeled
    assert [row.task for row in world.store.windows.get_window("7")] == [small]
    assert set(world.store.tasks.list_hidden_tasks("7")) == {big}


def test_what_is_kept_back_is_not_counted_as_labelled(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    done, _big, _open = world.add("a", amount=5), world.add("b", amount=9000), world.add("c", amount=5)
    world.turn()
    world.studio.answer(done, "tool")
    world.turn()
    counts = world.store.projects.count_project("7")

    assert (counts.tasks, counts.labeled, counts.kept_back, counts.answered) == (3, 1, 1, 1)
    assert world.store.decisions.count_outcomes("7") == {"L1": 2, "L2": 1}


def test_a_held_task_that_label_studio_forgot_is_hidden_again_at_the_next_turn(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    world.add("a", amount=5)
    big = world.add("b", amount=9000)
    world.turn()
    # as a change of the project's settings does: it counts all tasks anew and moves no updated_at
    world.studio.tasks[big] = replace(world.studio.tasks[big], is_labeled=False)
    world.turn()

    assert world.studio.tasks[big].is_labeled


def test_a_hold_ends_and_the_task_is_served(world: World):
    world.use(rules("when = { data.urgent = false }\nto = 'L1'\nhold = '10m'"))
    task = world.add("a", urgent=False)
    created_s = 1_767_225_601.0  # the fake's first second
    world.now_s = created_s + 60
    world.turn()
    held = world.studio.tasks[task].is_labeled
    world.now_s = created_s + 700
    world.turn()
    world.turn()

    assert held
    assert world.store.tasks.list_hidden_tasks("7") == {}
    assert not world.studio.tasks[task].is_labeled
    assert world.studio.next_task(1) == task
    assert [entry.standing.outcome for entry in world.store.decisions.list_decisions("7", task=task)] == [
        "L1",
        "hold",
    ]


def test_a_task_that_people_answered_in_spite_of_it_is_done_and_not_shown_again(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    big = world.add("b", amount=9000)
    world.turn()
    world.studio.answer(big, "tool")  # opened in the Data Manager
    world.turn()
    world.use(rules("when = { data.amount.gte = 99999 }\nto = 'hold'"))
    turn = world.turn()

    assert turn.settled == 1
    assert world.studio.tasks[big].is_labeled
    assert world.store.tasks.list_hidden_tasks("7") == {}


def test_a_policy_without_rules_shows_everything_again(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    big = world.add("b", amount=9000)
    world.turn()
    world.use(read_policy(SMALL))
    world.turn()

    assert not world.studio.tasks[big].is_labeled
    assert world.store.tasks.list_hidden_tasks("7") == {}


def test_a_kill_between_note_and_hiding_leaves_nothing_hidden_for_ever(world: World, monkeypatch: pytest.MonkeyPatch):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    big = world.add("b", amount=9000)

    def killed(project: str, task: int) -> Task:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(world.studio, "hide_task", killed)
        with pytest.raises(KeyboardInterrupt):
            world.turn()
    assert set(world.store.tasks.list_hidden_tasks("7")) == {big}
    world.turn()

    assert world.studio.tasks[big].is_labeled
    assert len(world.store.decisions.list_decisions("7", task=big)) == 1


def test_the_decision_stays_when_label_studio_is_unreachable(world: World, monkeypatch: pytest.MonkeyPatch):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    big = world.add("b", amount=9000)

    def raise_not_found(project: str, task: int) -> Task:
        raise LabelStudioError("Label Studio cannot be reached.")

    monkeypatch.setattr(world.studio, "hide_task", raise_not_found)
    turn = world.turn()

    assert any("not all tasks were hidden or shown as the routing decides" in note for note in turn.notes)
    assert world.outcome(big) == "hold"


def test_a_task_that_was_deleted_meanwhile_stops_nothing(world: World, monkeypatch: pytest.MonkeyPatch):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    gone, big = world.add("a", amount=9000), world.add("b", amount=9000)
    hide = world.studio.hide_task

    def deleted(project: str, task: int) -> Task:
        if task == gone:
            raise NotFound("no such task", status=404)
        return hide(project, task)

    monkeypatch.setattr(world.studio, "hide_task", deleted)
    turn = world.turn()

    assert turn.notes == ()
    assert world.studio.tasks[big].is_labeled


def test_many_held_tasks_are_hidden_a_few_hundred_a_turn(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    for number in range(250):
        world.add(f"t{number}", amount=9000)
    first = world.turn()
    hidden = sum(task.is_labeled for task in world.studio.tasks.values())
    second = world.turn()

    assert hidden == 200
    assert "50 tasks are still to be hidden or shown" in first.notes
    assert all(task.is_labeled for task in world.studio.tasks.values())
    assert second.notes == ()
    assert world.store.windows.get_window("7") == []  # none of them was ever asked
