"""A turn survives kills, an unavailable Label Studio, and lost events."""

from __future__ import annotations

from dataclasses import replace

import pytest

from feedback.errors import NotConnected
from feedback.store import ProjectRow
from feedback.store.log import events
from tests.support.connected_project import POLICY, ConnectedProject, truth
from tests.support.fake_platform import TEXT_CONFIG


def test_label_studio_being_away_stops_the_asking_only(connected_project: ConnectedProject):
    connected_project.turn()
    connected_project.label(25)
    connected_project.turn()
    connected_project.studio.down = True
    turn = connected_project.turn()
    assert any("cannot be reached" in note for note in turn.notes)

    connected_project.studio.down = False
    connected_project.label(10)
    assert connected_project.turn().collected > 0


def test_a_kill_while_the_window_is_written_is_healed_by_the_next_turn(connected_project: ConnectedProject):
    connected_project.turn()
    connected_project.label(25)
    connected_project.studio.stop_after = 4
    with pytest.raises(KeyboardInterrupt):
        connected_project.turn()
    version = connected_project.store.registry.champion("7")
    assert version is not None
    assert len(connected_project.studio.rows[f"{version.version}+q2"]) == 4

    connected_project.studio.stop_after = None
    connected_project.loop = connected_project.new_loop()  # the process that was killed is gone
    turn = connected_project.turn()

    assert turn.asked == "the last window was cut short"
    assert turn.window == f"{version.version}+q2"
    assert len(connected_project.studio.rows[turn.window]) == 30
    assert connected_project.turn().asked == ""


def test_a_kill_before_the_commit_of_a_training_changes_nothing_in_the_outcome(
    connected_project: ConnectedProject, monkeypatch
):
    connected_project.turn()
    connected_project.label(25)
    with monkeypatch.context() as patch:
        patch.setattr("feedback.training.challenger.pack", _killed)
        with pytest.raises(KeyboardInterrupt):
            connected_project.turn()
    assert connected_project.store.registry.champion("7") is None

    turn = connected_project.turn()
    assert turn.verdict.startswith("promoted")
    assert (
        len(connected_project.store.records.list_records("7", "training"))
        == len(connected_project.store.records.list_records("7", "verdict"))
        == 1
    )


def test_what_webhooks_missed_is_collected_and_what_vanished_goes(connected_project: ConnectedProject):
    connected_project.turn()
    given = connected_project.label(5)
    assert connected_project.turn().collected > 0
    vanished = connected_project.studio.annotations.pop(given[0])
    task = connected_project.studio.tasks[vanished.task]
    connected_project.studio.tasks[task.id] = replace(task, is_labeled=False, updated_at="2026-06-01T00:00:00Z")

    turn = connected_project.turn()
    assert turn.answers == 4


def test_without_label_studio_webhooks_alone_teach(connected_project: ConnectedProject):
    connected_project.store.projects.save_project(
        ProjectRow("7", "hooks", TEXT_CONFIG, options={"policy": POLICY.model_dump(mode="json")})
    )
    connected_project.loop = connected_project.new_loop(alone=True)
    for task_id in list(connected_project.studio.tasks)[:60]:
        connected_project.studio.answer(task_id, truth(str(connected_project.studio.tasks[task_id].data["text"])))
    for task, given in connected_project.studio.list_changed_tasks("7", ""):
        connected_project.store.append(events.events_from_task(task, given, source="webhook"))

    turn = connected_project.turn()
    assert turn.verdict.startswith("promoted")
    assert turn.window == ""


def test_bots_and_imports_are_never_votes(connected_project: ConnectedProject):
    connected_project.connect(bots=(99,))
    connected_project.turn()
    connected_project.label(6, person=99)

    assert connected_project.turn().answers == 0


def test_an_unknown_project_and_an_unreadable_config_are_reported(connected_project: ConnectedProject):
    with pytest.raises(NotConnected, match="project 8 is not known"):
        connected_project.loop.turn("8")
    connected_project.studio.label_config = "<View><Choices"
    connected_project.store.projects.save_project(ProjectRow("9", "broken", connected=True))

    assert any("cannot be read" in note for note in connected_project.loop.turn("9").notes)


def _killed(*_: object) -> None:
    raise KeyboardInterrupt
