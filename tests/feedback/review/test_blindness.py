"""A case that is read blind stays blind, whatever happens to it, until it is decided or somebody asks for a person."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedback.review.case_state_machine import ON_REQUEST, CaseWorkflow
from feedback.review.review_task_content import FACTS, HISTORY
from feedback.store import CaseRow
from ml_backend.records import Answer, Task
from tests.feedback.review.requesters import push
from tests.support.review_world import ADA, BEN, CLEO, DAN, EVA, FAY, PROJECT, World, open_world, policy_text

FIRST = Answer("choices", ("tool",))
SHOWN = "no earlier answer is shown"
TIERS = {
    "l2": 'resolve = "1h"\non_breach = "escalate"',
    "l3": 'protocol = "two-reader"\nresolve = "1h"\non_breach = "reassign"',
}


def second_look(world: World, **policy: str) -> int:
    """A task that Ada answered, which waits at L2 for a second look."""
    world.use(policy_text(share=1.0, **{**TIERS, **policy}))
    (task,) = world.site.add("a1 thing red")
    world.turn()
    world.site.answer(task, "tool", person=ADA)
    world.turn()
    world.turn()
    return task


def shown_tasks(world: World) -> Iterator[Task]:
    for tasks in world.site.review_tasks.values():
        yield from tasks.values()


def leaks(world: World, *words: str) -> list[str]:
    """What review tasks show of the first answer: in their data, and filled in."""
    found = [str(task.data) for task in shown_tasks(world) if any(word in str(task.data) for word in words)]
    return found + [str(world.site.shown(task.id)) for task in shown_tasks(world) if world.site.shown(task.id)]


def test_a_second_look_that_breaches_its_clock_stays_blind_in_the_next_tier(world: World):
    task = second_look(world)
    world.site.pass_time(2 * 3600)
    world.turn()
    world.turn()

    case = world.case(task)
    assert (case.tier, case.breaches) == ("L3", 1)
    (copy,) = world.site.waiting(world.site.review_project_of("L3"), DAN)
    assert copy.data[HISTORY] == [{"author": "–", "text": SHOWN}]
    assert copy.data[FACTS]["Your task"] == "answer without the earlier answers"
    assert leaks(world, "tool") == []
    assert world.turn().settled == 1  # the first answer stays valid until the second look has decided


def test_a_second_look_that_ended_in_the_next_tier_is_not_drawn_again(world: World):
    task = second_look(world, l3="")
    world.site.pass_time(2 * 3600)
    world.turn()
    world.review("L3", "answer", "fruit", person=DAN)
    for _ in range(4):
        world.turn()

    assert (world.case(task).state, world.case(task).round) == ("resolved", 1)
    assert world.final(task) == "fruit"


@pytest.mark.parametrize("verdict", ["escalate", "reject"])
def test_what_a_reviewer_hands_on_stays_blind_and_the_first_answer_valid(world: World, verdict: str):
    task = second_look(world)
    world.review("L2", verdict, "", person=CLEO, reason="guideline_gap")
    world.turn()
    world.turn()

    assert world.case(task).tier == "L3"
    assert leaks(world, "tool") == []
    assert world.turn().settled == 1


def test_a_second_look_that_is_opened_again_stays_blind(world: World):
    task = second_look(world, l3="")
    number = world.review("L2", "answer", "fruit", person=CLEO)
    world.turn()
    world.site.change(world.site.review_project_of("L2"), number, person=CLEO, verdict="answer", label="tool")
    world.turn()
    world.turn()

    case = world.case(task)
    assert (case.round, case.state) == (2, "queued")
    assert leaks(world, "tool", "fruit") == []


def test_a_stay_that_began_blind_ends_blind_under_another_policy(world: World):
    world.use(policy_text(l2="blind = true"), overlap=2)
    (task,) = world.site.add("a1 thing red")
    world.turn()
    world.disagree(task)
    world.use(policy_text(), overlap=2)
    world.turn()
    world.turn()

    assert leaks(world, "tool", "fruit") == []
    world.review("L2", "answer", "fruit", person=CLEO)
    world.turn()
    assert world.final(task) == "fruit"


def test_a_tier_that_becomes_blind_hides_what_was_shown(world: World):
    world.use(policy_text(), overlap=2)
    (task,) = world.site.add("a1 thing red")
    world.turn()
    world.disagree(task)
    assert leaks(world, "tool")
    world.use(policy_text(l2="blind = true"), overlap=2)
    world.turn()
    world.turn()

    assert leaks(world, "tool", "fruit") == []
    assert world.case(task).blind


MOVES = st.lists(
    st.sampled_from(["breach", "escalate", "recall", "skip", "answer", "reject", "guideline", "policy", "new process"]),
    min_size=1,
    max_size=6,
)


def act(world: World, task: int, move: str, place: int) -> None:
    case = world.case(task)
    workflow = CaseWorkflow(world.store, PROJECT, world.row.policy, now_s=world.site.seconds())
    if move == "breach":
        world.site.pass_time(2 * 3600)
    elif move == "escalate" and case.tier == "L2" and case.state in ("queued", "started", "waiting"):
        workflow.move(case, "escalate", note="by hand", why="by hand", rule="escalated", proposal=case.proposal)
    elif move == "policy":
        world.use(policy_text(share=1.0, l3="" if place % 2 else 'protocol = "two-reader"', l2='resolve = "3h"'))
    elif move == "new process":
        world.__post_init__()
    elif move in ("answer", "reject", "guideline", "skip") and case.tier != "L1":
        review_project, person = world.site.review_project_of(case.tier), (CLEO, DAN, EVA, FAY, BEN)[place % 5]
        if world.site.waiting(review_project, person):
            label = "fruit" if move == "answer" else ""
            world.site.review(review_project, move, label, person=person, reason="guideline_gap", skip=move == "skip")
    world.turn()
    if world.case(task).state == "waiting":
        workflow = CaseWorkflow(world.store, PROJECT, world.row.policy, now_s=world.site.seconds())
        workflow.move(world.case(task), "answered", note="ask Eva")
    world.turn()


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_whatever_happens_to_a_second_look_its_first_answer_is_never_shown(
    tmp_path_factory: pytest.TempPathFactory, moves: list[str]
):
    with open_world(tmp_path_factory.mktemp("blind")) as world:
        task = second_look(world)
        for place, move in enumerate(moves):
            act(world, task, move, place)

            case: CaseRow = world.case(task)
            assert leaks(world, "tool") == []
            assert case.state in ("decided", "resolved") or (case.rule, case.proposal) == ("second look", FIRST)
        if world.case(task).state == "queued":
            push(world, task)
            world.turn()
            assert world.case(task).rule == ON_REQUEST  # whoever decides about an objection sees everything
