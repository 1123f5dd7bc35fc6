"""A turn survives kills, an unavailable Label Studio, and lost events."""

from __future__ import annotations

from dataclasses import replace

import pytest

from feedback.errors import NotConnected
from feedback.store import ProjectRow
from feedback.store.log import events
from tests.support.fake_platform import TEXT_CONFIG
from tests.support.one_project import POLICY, World, truth


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
        patch.setattr("feedback.training.challenger.pack", _killed)
        with pytest.raises(KeyboardInterrupt):
            world.turn()
    assert world.store.registry.champion("7") is None

    turn = world.turn()
    assert turn.verdict.startswith("promoted")
    assert (
        len(world.store.records.list_records("7", "training"))
        == len(world.store.records.list_records("7", "verdict"))
        == 1
    )


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
    world.store.projects.save_project(
        ProjectRow("7", "hooks", TEXT_CONFIG, options={"policy": POLICY.model_dump(mode="json")})
    )
    world.loop = world.new_loop(alone=True)
    for task_id in list(world.studio.tasks)[:60]:
        world.studio.answer(task_id, truth(str(world.studio.tasks[task_id].data["text"])))
    for task, given in world.studio.list_changed_tasks("7", ""):
        world.store.append(events.events_from_task(task, given, source="webhook"))

    turn = world.turn()
    assert turn.verdict.startswith("promoted")
    assert turn.window == ""


def test_bots_and_imports_are_never_votes(world: World):
    world.connect(bots=(99,))
    world.turn()
    world.label(6, person=99)

    assert world.turn().answers == 0


def test_an_unknown_project_and_an_unreadable_config_are_reported(world: World):
    with pytest.raises(NotConnected, match="project 8 is not known"):
        world.loop.turn("8")
    world.studio.label_config = "<View><Choices"
    world.store.projects.save_project(ProjectRow("9", "broken", connected=True))

    assert any("cannot be read" in note for note in world.loop.turn("9").notes)


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
