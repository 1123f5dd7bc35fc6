"""A signal reopens a task if a rule wants it, and a requester with a callback is notified."""

from __future__ import annotations

import pytest

from tests.feedback.review.requesters import ONE_TIER, Crm, push, turns
from tests.support.review_world import ADA, BEN, CLEO, DAN, PROJECT, World, policy_text

CRM = '[notify.crm]\nurl = "https://crm.example.org/hitl"\n'
REPORTED = (
    '[[routing]]\nid = "reported"\nwhen = { signal.user_report.count.gte = 1 }\nto = "L2"\n'
    'reason = "a user reported it"\n'
    '[[routing]]\nid = "default"\nto = "L1"\n'
)


@pytest.fixture
def crm() -> Crm:
    return Crm()


@pytest.fixture
def post(crm: Crm) -> Crm:
    return crm


def test_a_callback_is_notified_of_what_people_agree_on_without_any_case(world: World, crm: Crm):
    world.use(CRM + ONE_TIER)
    (task,) = world.site.add("a1 apple red")
    world.turn()
    push(world, task, "user_report", value="scam", callback="crm", key="report-7")
    turns(world)
    assert crm.received == []
    crm.down = True
    world.site.answer(task, "fruit", person=ADA)
    turns(world)
    crm.down = False
    turns(world)

    (received,) = crm.received
    assert (received["asked"], received["signal"], received["answer"], received["case"]) == (
        "report-7",
        "user_report",
        "fruit",
        None,
    )
    push(world, task, "thumbs", value="down", callback="crm", key="thumbs-8")  # it is decided already
    turns(world)
    assert crm.answers() == [("report-7", "fruit"), ("thumbs-8", "fruit")]


def test_every_requester_is_notified_once_and_again_when_the_answer_changes(world: World, crm: Crm):
    rules = '[[routing]]\nid = "all"\nto = "L2"\n'
    world.use(policy_text(more=CRM + rules))
    (task,) = world.site.add("a1 apple red")
    push(world, task, "user_report", value="scam", callback="crm", key="one")
    push(world, task, callback="crm", key="two")
    push(world, task, "sentiment", value=0.5, key="silent")
    turns(world)
    world.review("L2", "fix", "tool", person=CLEO, reason="wrong_label")
    turns(world)
    assert crm.answers() == [("one", "tool"), ("two", "tool")]

    push(world, task, callback="crm", key="three")
    turns(world)
    world.review("L2", "fix", "tool", person=DAN, reason="wrong_label")
    turns(world)
    assert crm.answers()[2:] == [("three", "tool")]  # nothing new for the others

    push(world, task, key="four")
    turns(world)
    world.review("L2", "fix", "fruit", person=BEN, reason="wrong_label")
    turns(world)
    assert sorted(crm.answers()[3:]) == [("one", "fruit"), ("three", "fruit"), ("two", "fruit")]


def test_what_was_decided_is_opened_again_where_a_rule_sends_what_somebody_reports(world: World):
    world.use(policy_text(more=REPORTED))
    task, other = world.site.add("a1 apple red", "b2 saw iron")
    world.turn()
    for row in (task, other):
        world.site.answer(row, "fruit", person=ADA)
    turns(world)
    push(world, task, "user_report", value="scam", key="one")
    push(world, other, "thumbs", value="down", key="two")  # no rule asks for that
    turns(world)

    assert [(case.task, case.tier, case.why) for case in world.store.cases.list_cases(PROJECT)] == [
        (task, "L2", "a user reported it")
    ]
    world.review("L2", "fix", "tool", person=CLEO, reason="wrong_label")
    turns(world)
    assert (world.case(task).state, world.case(task).round) == ("resolved", 1)
    world.site.pass_time(60)
    push(world, task, "user_report", value="still a scam", key="three")
    turns(world)
    assert (world.case(task).state, world.case(task).round) == ("queued", 2)
    world.review("L2", "fix", "tool", person=DAN, reason="wrong_label")
    turns(world)
    assert (world.case(task).state, world.case(task).round) == ("resolved", 2)


def test_a_case_of_another_round_that_comes_back_to_the_first_tier_is_asked_there_again(world: World):
    world.use(policy_text(more=REPORTED))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    push(world, task, "user_report", value="scam", key="one")
    turns(world)
    world.review("L2", "fix", "tool", person=CLEO, reason="wrong_label")
    turns(world)
    world.site.answer(task, "fruit", person=ADA)  # who had it open all the time
    world.site.pass_time(60)
    push(world, task, "user_report", value="scam", key="two")
    turns(world, 1)
    assert (world.case(task).tier, world.case(task).round) == ("L2", 2)
    world.use(policy_text(more='[[routing]]\nid = "default"\nto = "L1"\n'))
    turns(world)

    assert (world.case(task).tier, world.case(task).state) == ("L1", "queued")
    assert world.site.next_task(BEN) == task
    world.site.answer(task, "fruit", person=BEN)
    turns(world)
    assert (world.case(task).state, world.case(task).answer.value) == ("resolved", ("fruit",))  # type: ignore[union-attr]
