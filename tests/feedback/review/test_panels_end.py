"""Panels end: as soon as they can, never with somebody who has escalated the case, and never silently without one."""

from __future__ import annotations

import pytest

from feedback.reports.case_report import case_report, describe_case
from feedback.review.readers_left import TOO_FEW
from tests.feedback.review.requesters import push
from tests.support.real_platform import ADDRESSES
from tests.support.review_world import ADA, BEN, CLEO, DAN, EVA, FAY, PROJECT, World, open_case, policy_text, skip_to_l2

PANEL = 'protocol = "panel"\npanel = {size}'


@pytest.fixture
def addresses() -> dict[int, str]:
    return dict(ADDRESSES)


def person(name: str, *tiers: str) -> str:
    return f'[people."{name}@example.com"]\ntiers = [{", ".join(map(repr, tiers))}]\n'


@pytest.mark.parametrize(("size", "agreeing"), [(3, (CLEO, DAN)), (5, (CLEO, DAN, EVA))])
def test_a_panel_is_decided_by_its_majority_and_nobody_is_asked_for_the_rest(world: World, size: int, agreeing):
    task = open_case(world, l2=PANEL.format(size=size))
    review_project = world.site.review_project_of("L2")
    for reader in agreeing:
        assert len(world.site.waiting(review_project, FAY)) == 1
        world.review("L2", "fix", "fruit", person=reader, reason="boundary")
        world.turn()

    assert (world.case(task).state, world.final(task)) == ("resolved", "fruit")
    assert world.site.waiting(review_project, FAY) == []  # the remaining reading is withdrawn


def test_a_reading_that_comes_after_the_decision_is_kept_with_its_reason_and_changes_nothing(world: World):
    task = open_case(world, l2=PANEL.format(size=3))
    copy = world.case(task).review_task
    assert copy
    for reader in (CLEO, DAN):
        world.review("L2", "fix", "fruit", person=reader, reason="boundary")
        world.turn()
    trail = world.trail(task)
    world.review("L2", "fix", "tool", person=EVA, reason="boundary", task=copy)  # she had it on her screen
    world.turn()
    world.turn()

    (late,) = [review for review in world.store.reviews.list_reviews(PROJECT) if review.person == EVA]
    assert (late.counted, late.refused, late.tier) == (False, "came after the case was decided", "L2")
    assert (world.trail(task), world.final(task)) == (trail, "fruit")
    lines = describe_case(case_report(world.store, world.case(task).id), {})
    assert any("not counted: came after the case was decided" in line for line in lines)


def test_a_reading_for_a_tier_that_the_case_has_left_is_kept_with_its_reason(world: World):
    task = open_case(world, l2=PANEL.format(size=3) + '\nresolve = "10m"\non_breach = "escalate"')
    copy, review_project = world.case(task).review_task, world.site.review_project_of("L2")
    assert copy
    world.review("L2", "fix", "fruit", person=CLEO, reason="boundary")
    world.turn()
    world.site.pass_time(11 * 60)
    world.turn()
    assert world.case(task).tier == "L3"
    assert world.site.waiting(review_project, DAN) == []  # answered once, and withdrawn
    world.review("L2", "fix", "fruit", person=DAN, reason="boundary", task=copy)
    world.turn()

    (late,) = [review for review in world.store.reviews.list_reviews(PROJECT) if review.person == DAN]
    assert (late.counted, late.refused) == (False, "came after the case had moved on")
    assert world.case(task).tier == "L3"


@pytest.mark.parametrize("how", ["verdict", "skip"])
def test_whoever_escalated_a_case_does_not_decide_it_in_a_later_tier_even_where_own_cases_count(world: World, how: str):
    task = open_case(world, l2='skip_means = "escalate"', l3="own_cases = true")
    if how == "skip":
        world.review("L2", "", person=CLEO, skip=True)
    else:
        world.review("L2", "escalate", person=CLEO, reason="boundary")
    world.turn()
    world.turn()
    assert world.case(task).tier == "L3"
    world.review("L3", "fix", "tool", person=CLEO, reason="boundary")
    world.turn()

    assert world.notes(task)[-1] == "has escalated this case, so others decide it"
    world.review("L3", "fix", "fruit", person=ADA, reason="boundary")
    world.turn()
    assert world.final(task) == "fruit"


def test_whoever_skipped_a_task_in_the_first_tier_does_not_decide_its_case(world: World):
    task = skip_to_l2(world)
    assert world.case(task).tier == "L2"
    world.review("L2", "fix", "tool", person=ADA, reason="boundary")
    world.turn()

    assert world.notes(task)[-1] == "has escalated this case, so others decide it"
    assert [copy.id for copy in world.site.waiting(world.site.review_project_of("L2"), BEN)]


def test_a_case_that_comes_back_to_a_tier_does_not_go_back_to_who_escalated_it_there(world: World):
    task = open_case(world, l2="own_cases = true", more='[rights]\ntier = "L2"\n')
    world.review("L2", "escalate", person=CLEO, reason="boundary")
    world.turn()
    world.turn()
    world.review("L3", "fix", "tool", person=DAN, reason="boundary")
    world.turn()
    world.turn()
    push(world, task, value=True)
    world.turn()
    world.turn()
    assert (world.case(task).tier, world.case(task).round) == ("L2", 2)
    world.review("L2", "fix", "fruit", person=CLEO, reason="boundary")
    world.turn()

    assert world.notes(task)[-1] == "has escalated this case, so others decide it"
    assert world.case(task).state == "queued"


def test_a_skip_that_escalates_is_not_lost_beside_an_answer_that_does_not_count(world: World):
    task = open_case(world, l2='skip_means = "escalate"')
    world.review("L2", "", person=CLEO, skip=True)
    world.review("L2", "fix", "tool", person=ADA, reason="boundary")  # her own case
    world.turn()

    assert world.case(task).tier == "L3"


def test_a_panel_that_nobody_can_fill_is_told_and_so_is_that_it_can_be_filled_again(world: World):
    people = person("cleo", "L2") + person("dan", "L2")
    task = open_case(world, l2=PANEL.format(size=3), more=people)
    turn = world.turn()

    case = world.case(task)
    assert TOO_FEW in case.alarms
    assert "it needs one person more in L2" in world.notes(task)[-1]
    assert any(f"case {case.id} at L2" in note for note in turn.notes)
    trail = world.trail(task)
    world.turn()
    assert world.trail(task) == trail  # told once

    world.use(policy_text(l2=PANEL.format(size=3), more=people + person("eva", "L2")), overlap=2)
    turn = world.turn()
    assert TOO_FEW not in world.case(task).alarms
    assert not any("too few people" in note for note in turn.notes)


def test_without_a_list_of_people_the_users_of_label_studio_are_counted(world: World, addresses: dict[int, str]):
    for number in (EVA, FAY):
        addresses.pop(number)
    task = open_case(world, l2=PANEL.format(size=3))
    world.turn()

    assert len(addresses) < 5
    assert TOO_FEW in world.case(task).alarms
