"""What the first tier is not to see is hidden in Label Studio, and shown again when it is time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from feedback.policy import read_policy
from ml_backend.errors import LabelStudioError, NotFound
from ml_backend.records import Task
from tests.support.routed_project import SMALL, RoutedProject, rules


def test_without_rules_nothing_is_decided_and_nothing_recorded(routed_project: RoutedProject):
    routed_project.use(read_policy(SMALL))
    routed_project.add("a")
    turn = routed_project.turn()

    assert routed_project.store.decisions.list_current_decisions("7") == {}
    assert turn.notes == ()
    assert routed_project.studio.next_task(1) == 1


def test_a_task_for_a_later_tier_is_shown_to_nobody_in_the_first(routed_project: RoutedProject):
    routed_project.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    small, big = routed_project.add("a", amount=5), routed_project.add("b", amount=9000)
    routed_project.turn()

    assert (routed_project.outcome(small), routed_project.outcome(big)) == ("L1", "L2")
    assert routed_project.studio.tasks[big].is_labeled
    assert not routed_project.studio.tasks[small].is_labeled
    assert [row.task for row in routed_project.store.windows.get_window("7")] == [small]
    assert set(routed_project.store.tasks.list_hidden_tasks("7")) == {big}


def test_what_is_kept_back_is_not_counted_as_labelled(routed_project: RoutedProject):
    routed_project.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    done, _big, _open = (
        routed_project.add("a", amount=5),
        routed_project.add("b", amount=9000),
        routed_project.add("c", amount=5),
    )
    routed_project.turn()
    routed_project.studio.answer(done, "tool")
    routed_project.turn()
    counts = routed_project.store.projects.count_project("7")

    assert (counts.tasks, counts.labeled, counts.kept_back, counts.answered) == (3, 1, 1, 1)
    assert routed_project.store.decisions.count_outcomes("7") == {"L1": 2, "L2": 1}


def test_a_held_task_that_label_studio_forgot_is_hidden_again_at_the_next_turn(routed_project: RoutedProject):
    routed_project.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    routed_project.add("a", amount=5)
    big = routed_project.add("b", amount=9000)
    routed_project.turn()
    # as a change of the project's settings does: it counts all tasks anew and moves no updated_at
    routed_project.studio.tasks[big] = replace(routed_project.studio.tasks[big], is_labeled=False)
    routed_project.turn()

    assert routed_project.studio.tasks[big].is_labeled


def test_a_hold_ends_and_the_task_is_served(routed_project: RoutedProject):
    routed_project.use(rules("when = { data.urgent = false }\nto = 'L1'\nhold = '10m'"))
    task = routed_project.add("a", urgent=False)
    created_s = 1_767_225_601.0  # the fake's first second
    routed_project.now_s = created_s + 60
    routed_project.turn()
    held = routed_project.studio.tasks[task].is_labeled
    routed_project.now_s = created_s + 700
    routed_project.turn()
    routed_project.turn()

    assert held
    assert routed_project.store.tasks.list_hidden_tasks("7") == {}
    assert not routed_project.studio.tasks[task].is_labeled
    assert routed_project.studio.next_task(1) == task
    assert [entry.standing.outcome for entry in routed_project.store.decisions.list_decisions("7", task=task)] == [
        "L1",
        "hold",
    ]


def test_a_task_that_people_answered_in_spite_of_it_is_done_and_not_shown_again(routed_project: RoutedProject):
    routed_project.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    big = routed_project.add("b", amount=9000)
    routed_project.turn()
    routed_project.studio.answer(big, "tool")  # opened in the Data Manager
    routed_project.turn()
    routed_project.use(rules("when = { data.amount.gte = 99999 }\nto = 'hold'"))
    turn = routed_project.turn()

    assert turn.settled == 1
    assert routed_project.studio.tasks[big].is_labeled
    assert routed_project.store.tasks.list_hidden_tasks("7") == {}


def test_a_policy_without_rules_shows_everything_again(routed_project: RoutedProject):
    routed_project.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    big = routed_project.add("b", amount=9000)
    routed_project.turn()
    routed_project.use(read_policy(SMALL))
    routed_project.turn()

    assert not routed_project.studio.tasks[big].is_labeled
    assert routed_project.store.tasks.list_hidden_tasks("7") == {}


def test_a_kill_between_note_and_hiding_leaves_nothing_hidden_for_ever(
    routed_project: RoutedProject, monkeypatch: pytest.MonkeyPatch
):
    routed_project.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    big = routed_project.add("b", amount=9000)

    def killed(project: str, task: int) -> Task:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(routed_project.studio, "hide_task", killed)
        with pytest.raises(KeyboardInterrupt):
            routed_project.turn()
    assert set(routed_project.store.tasks.list_hidden_tasks("7")) == {big}
    routed_project.turn()

    assert routed_project.studio.tasks[big].is_labeled
    assert len(routed_project.store.decisions.list_decisions("7", task=big)) == 1


def test_the_decision_stays_when_label_studio_is_unreachable(
    routed_project: RoutedProject, monkeypatch: pytest.MonkeyPatch
):
    routed_project.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    big = routed_project.add("b", amount=9000)

    def raise_not_found(project: str, task: int) -> Task:
        raise LabelStudioError("Label Studio cannot be reached.")

    monkeypatch.setattr(routed_project.studio, "hide_task", raise_not_found)
    turn = routed_project.turn()

    assert any("not all tasks were hidden or shown as the routing decides" in note for note in turn.notes)
    assert routed_project.outcome(big) == "hold"


def test_a_task_that_was_deleted_meanwhile_stops_nothing(
    routed_project: RoutedProject, monkeypatch: pytest.MonkeyPatch
):
    routed_project.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    gone, big = routed_project.add("a", amount=9000), routed_project.add("b", amount=9000)
    hide = routed_project.studio.hide_task

    def deleted(project: str, task: int) -> Task:
        if task == gone:
            raise NotFound("no such task", status=404)
        return hide(project, task)

    monkeypatch.setattr(routed_project.studio, "hide_task", deleted)
    turn = routed_project.turn()

    assert turn.notes == ()
    assert routed_project.studio.tasks[big].is_labeled


def test_many_held_tasks_are_hidden_a_few_hundred_a_turn(routed_project: RoutedProject):
    routed_project.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    for number in range(250):
        routed_project.add(f"t{number}", amount=9000)
    first = routed_project.turn()
    hidden = sum(task.is_labeled for task in routed_project.studio.tasks.values())
    second = routed_project.turn()

    assert hidden == 200
    assert "50 tasks are still to be hidden or shown" in first.notes
    assert all(task.is_labeled for task in routed_project.studio.tasks.values())
    assert second.notes == ()
    assert routed_project.store.windows.get_window("7") == []  # none of them was ever asked
