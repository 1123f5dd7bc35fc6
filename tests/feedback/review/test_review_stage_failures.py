"""Kills, half an import, an answer in the middle of a turn: one copy and one answer all the same."""

from __future__ import annotations

import pytest

from feedback.store.log import events
from tests.support.review_world import (
    ADA,
    BEN,
    CLEO,
    DAN,
    EVA,
    PROJECT,
    World,
    answer_differently,
    open_case,
    policy_text,
)


@pytest.mark.parametrize(
    "where", ["import_review_tasks after", "write_final_answer after", "ensure_review_project after"]
)
def test_a_kill_after_any_request_leaves_one_copy_and_one_answer(world: World, where: str):
    world.use(policy_text(), overlap=2)
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.fails = {where}
    for person, label in ((ADA, "fruit"), (BEN, "tool")):
        world.site.answer(task, label, person=person)
        try:
            world.turn()
        except KeyboardInterrupt:
            world.site.fails = set()
    world.turn()
    world.turn()
    review_project = world.site.review_project_of("L2")
    assert len(world.site.waiting(review_project, CLEO)) == 1
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    try:
        world.turn()
    except KeyboardInterrupt:
        world.site.fails = set()
    world.turn()

    assert (world.case(task).state, len(world.site.finals), len(world.site.review_projects)) == ("resolved", 1, 1)


def test_review_tasks_that_a_kill_left_without_their_case_are_adopted_with_their_answers(world: World):
    task = answer_differently(world)
    world.site.fails = {"import_review_tasks after"}
    with pytest.raises(KeyboardInterrupt):
        world.turn()
    world.site.fails = set()
    review_project = world.site.review_project_of("L2")
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")  # before anybody knows which case it is of
    world.turn()
    world.turn()

    assert len(world.site.review_projects[review_project].shown) == 1
    assert world.final(task) == "tool"


def test_an_import_that_was_cut_short_is_completed_so_that_reviewers_see_what_was_proposed(world: World):
    task = open_case(world, l3='protocol = "panel"\npanel = 2')
    world.site.fails = {"import_review_tasks half"}
    world.review("L2", "escalate", "tool", person=CLEO, reason="boundary")
    left_out = world.turn().left_out
    world.site.fails = set()
    world.turn()

    assert "database is locked" in left_out
    review_project, copy = world.site.review_project_of("L3"), world.case(task).review_task
    assert copy is not None
    assert [row.id for row in world.site.waiting(review_project, DAN)] == [copy]
    assert world.site.shown(copy)[0]["value"] == {"choices": ["tool"]}
    for person in (DAN, EVA):
        world.review("L3", "accept", person=person)
    world.turn()
    assert world.final(task) == "tool"


def test_no_new_review_task_while_an_answer_is_unread(world: World, monkeypatch: pytest.MonkeyPatch):
    """A webhook may bring it in the middle of a turn: here after the answers were read."""
    task = open_case(world, l2='protocol = "panel"\npanel = 2')
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    world.turn()
    review_project, before = world.site.review_project_of("L2"), world.site.writes

    def emails() -> dict[int, str]:
        world.review("L2", "fix", "tool", person=DAN, reason="boundary")
        received = [
            event
            for shown, given in world.site.list_changed_tasks(review_project, "")
            for event in events.events_from_task(shown, given)
        ]
        world.store.append(received)
        return {}

    with monkeypatch.context() as patch:
        patch.setattr(world.site, "list_emails", emails)
        world.loop.turn(PROJECT, poll=False)

    assert world.site.waiting(review_project, EVA) == []
    assert world.site.writes == before
    world.turn()
    assert world.final(task) == "tool"


def test_label_studio_being_away_stops_review_and_not_the_turn(world: World):
    task = open_case(world)
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    world.site.down = True
    turn = world.turn()
    world.site.down = False
    world.turn()

    assert any("review goes on later" in note for note in turn.notes)
    assert world.final(task) == "tool"
