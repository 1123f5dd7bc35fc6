"""Who asks for a person: what they are owed, whatever the policy has and wherever the task is."""

from __future__ import annotations

import pytest

from feedback.review.appeals import list_human_review_requests
from feedback.review.review_task_content import FACTS, HISTORY
from ml_backend.errors import BodyError
from tests.feedback.review.requesters import ONE_TIER, push, turns
from tests.support.review_world import ADA, BEN, CLEO, DAN, PROJECT, World, policy_text

HOUR = 3600.0


def statement(world: World, place: int = 0) -> str:
    return list_human_review_requests(world.store, PROJECT)[place].statement


def object_to_an_answer(world: World, text: str) -> int:
    """A task that Ada answered, and for which somebody then asks for a person."""
    world.use(text)
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.answer(task, "fruit", person=ADA)
    turns(world)
    push(world, task)
    turns(world)
    return task


@pytest.mark.parametrize("text", [ONE_TIER, policy_text(more='[rights]\ntier = "L1"\n')])
def test_where_the_first_tier_owes_a_person_another_one_is_asked_in_the_source_project(world: World, text: str):
    task = object_to_an_answer(world, text)

    assert "Nobody has decided yet" in statement(world)
    assert world.site.next_task(ADA) is None  # her own answer is what somebody objects to
    assert world.site.next_task(BEN) == task
    world.site.answer(task, "fruit", person=BEN)
    turns(world)
    (proof,) = list_human_review_requests(world.store, PROJECT)
    assert proof.decided_by_person
    assert "A person of L1 decided" in proof.statement
    assert "fruit, in the source project itself." in proof.statement
    assert world.trail(task) == ["open", "settle"]


def test_no_request_is_honoured_where_the_policy_forbids_requests(world: World):
    world.use('[rights]\nhuman_review = "never"\n' + ONE_TIER)
    (task,) = world.site.add("a1 apple red")
    push(world, task)
    turns(world)

    assert world.store.cases.list_cases(PROJECT) == []


@pytest.mark.slow
def test_no_request_is_lost_among_many(world: World):
    world.use(policy_text())
    (task,) = world.site.add("a1 apple red")
    world.turn()
    push(world, task, key="first")
    with world.store.transaction():
        for number in range(1001):
            push(world, 10_000 + number, key=f"of a task that is not there yet {number}")
    world.turn()

    assert [request.request for request in list_human_review_requests(world.store, PROJECT)] == ["first"]


def test_a_request_names_its_task(world: World):
    world.use(ONE_TIER)

    with pytest.raises(BodyError, match="human_review asks for a person for one task"):
        push(world, None)


def test_what_waits_already_is_due_when_it_was_promised_and_goes_up_with_the_promise(world: World):
    world.use(policy_text(l2='resolve = "5d"', l3='resolve = "5d"', more='[rights]\nwithin = "2h"\n'), overlap=2)
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.disagree(task)
    push(world, task)
    world.turn()
    asked_s = world.site.seconds()

    assert world.case(task).due_s == pytest.approx(asked_s + 2 * HOUR, abs=5)
    assert world.trail(task)[-1] == "promise"
    world.review("L2", "escalate", "tool", person=CLEO, reason="boundary")
    turns(world)
    assert (world.case(task).tier, world.case(task).rule) == ("L3", "human review")
    assert world.case(task).due_s == pytest.approx(asked_s + 2 * HOUR, abs=60)
    world.site.pass_time(3 * HOUR)
    world.review("L3", "accept", person=DAN)
    turns(world)
    assert [request.in_time for request in list_human_review_requests(world.store, PROJECT)] == [False]


def test_a_promise_while_a_question_waits_counts_from_where_the_clock_stopped(world: World):
    world.use(policy_text(l2='resolve = "5d"', more='[rights]\nwithin = "2h"\n'), overlap=2)
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.disagree(task)
    world.review("L2", "guideline", "", person=CLEO, reason="guideline_gap", comment="what is an apple?")
    world.turn()
    paused_s = world.case(task).paused_s
    world.site.pass_time(10 * HOUR)
    push(world, task)
    world.turn()

    assert paused_s is not None
    assert (world.case(task).state, world.case(task).due_s) == ("waiting", paused_s + 2 * HOUR)


def test_what_waits_in_a_lower_tier_goes_to_the_one_that_owes_a_person(world: World):
    world.use(policy_text(l1='resolve = "1d"', more='[rights]\nwithin = "2h"\n'))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    push(world, task, note="I object")
    world.turn()

    case = world.case(task)
    assert (case.tier, case.rule, case.why) == ("L2", "human review", "I object")
    assert case.due_s == pytest.approx(case.entered_s + 2 * HOUR)
    assert world.trail(task) == ["open", "recall", "assign"]


def test_whoever_looks_at_a_request_sees_everything_in_a_blind_tier_too(world: World):
    object_to_an_answer(world, policy_text(l2="blind = true"))

    (copy,) = world.site.waiting(world.site.review_project_of("L2"), CLEO)
    assert [line["text"] for line in copy.data[HISTORY]] == ["fruit"]
    world.review("L2", "answer", "tool", person=CLEO)
    turns(world)
    assert "tool, after seeing the earlier answers and the reason for the review." in statement(world)


@pytest.mark.parametrize(("l2", "share"), [("blind = true", 0.0), ("", 1.0)])
def test_a_blind_case_gets_a_new_review_task_with_everything_on_request(world: World, l2: str, share: float):
    """A blind tier, and a second look."""
    world.use(policy_text(l2=l2, share=share), overlap=1 if share else 2)
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.answer(task, "fruit", person=ADA)
    world.turn()
    if not share:
        world.site.answer(task, "tool", person=BEN)
    turns(world)
    (blind,) = world.site.waiting(world.site.review_project_of("L2"), CLEO)
    push(world, task, note="I object")
    turns(world)
    (copy,) = world.site.waiting(world.site.review_project_of("L2"), CLEO)

    assert blind.data[HISTORY] == [{"author": "–", "text": "no earlier answer is shown"}]
    assert copy.id != blind.id
    assert [line["text"] for line in copy.data[HISTORY]][:1] == ["fruit"]
    assert copy.data[FACTS]["Reason for review"] == "I object"
    world.review("L2", "answer" if l2 else "fix", "tool", person=CLEO, reason="wrong_label")
    turns(world)
    assert "after seeing the earlier answers and the reason for the review" in statement(world)
    assert world.site.final(task) == "tool"


@pytest.mark.slow
def test_a_proof_stands_when_the_case_is_opened_again(world: World):
    world.use(policy_text())
    (task,) = world.site.add("a1 apple red")
    push(world, task, key="first")
    turns(world)
    world.review("L2", "fix", "tool", person=CLEO, reason="wrong_label")
    turns(world)
    before = statement(world)
    push(world, task, key="second")
    turns(world)

    assert "A person of L2 decided" in before
    assert statement(world, 1) == f"{before} Since then it was opened again."
    assert "Nobody has decided yet" in statement(world, 0)
    world.review("L2", "fix", "fruit", person=DAN, reason="wrong_label")
    turns(world)
    assert statement(world, 1) == before
    assert ": fruit, after seeing" in statement(world, 0)
