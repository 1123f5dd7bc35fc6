"""The loop over a real store and real models; Label Studio is the fake that passes the platform's contract."""

from __future__ import annotations

from feedback.policy.schema import Overlap, Train
from feedback.reports.project_status import project_status, status_lines
from feedback.training.challenger import learned_annotations
from ml_backend.predictor import NO_MODEL_VERSION
from ml_backend.registry import FolderRegistry
from tests.support.one_project import POLICY, World


def test_the_first_turn_asks_without_faking_an_answer(world: World):
    turn = world.turn()

    assert turn.window == f"{NO_MODEL_VERSION}+q1"
    rows = world.store.windows.get_window("7")
    assert len(rows) == 30
    assert all(row.answer is None and row.confidence is None for row in rows)
    assert world.studio.version == turn.window
    assert turn.waits.startswith("0 of the ")
    assert (
        turn.waits in dict(status_lines(project_status(world.store, world.store.projects.list_projects()[0])))["model"]
    )


def test_half_of_the_first_questions_feed_the_audit(world: World):
    world.turn()
    rows = world.store.windows.get_window("7")

    assert 13 <= sum(row.blind for row in rows) <= 17


def test_answers_become_a_model_that_serves_and_orders(world: World):
    world.turn()
    given = world.label(25)
    turn = world.turn()

    assert turn.verdict.startswith("promoted")
    assert turn.version.startswith("m")
    assert turn.waits == ""
    learned = learned_annotations(world.store, "7", turn.version)
    assert learned
    assert learned <= set(given)
    assert turn.window == f"{turn.version}+q2"
    shown = [row for row in world.store.windows.get_window("7") if row.answer is not None]
    assert shown
    assert all(0.5 <= float(row.confidence or 0) <= 1.0 for row in shown)
    assert world.studio.next_task(1) == world.store.windows.get_window("7")[0].task
    assert FolderRegistry(world.folder).champion("7") == world.store.registry.champion("7")


def test_audit_answers_are_never_learned_from(world: World):
    world.turn()
    world.label(40)
    turn = world.turn()
    blind = {row.task for row in world.store.windows.get_window("7", f"{NO_MODEL_VERSION}+q1") if row.blind}
    audited = {one.id for one in world.studio.annotations.values() if one.task in blind}

    assert audited
    assert not audited & learned_annotations(world.store, "7", turn.version)


def test_a_turn_without_news_writes_nothing(world: World):
    world.turn()
    world.label(25)
    world.turn()
    before = (
        world.studio.writes,
        len(world.store.records.list_records("7", "verdict")),
        world.store.registry.versions("7"),
    )
    again = world.turn()

    assert (again.verdict, again.asked, again.collected) == ("", "", 0)
    assert (
        world.studio.writes,
        len(world.store.records.list_records("7", "verdict")),
        world.store.registry.versions("7"),
    ) == before


def test_under_one_model_the_window_grows_at_its_end(world: World):
    world.turn()
    world.label(19)
    world.connect(POLICY.model_copy(update={"train": Train(min_rows=500)}))
    turn = world.turn()
    rows = world.store.windows.get_window("7")

    assert turn.window == f"{NO_MODEL_VERSION}+q1"
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
    assert all(row.blind for row in world.store.windows.get_window("7") if row.task in again)
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
