"""Who may not decide a case: not counted, recorded with the reason, and the case is open again at once."""

from __future__ import annotations

import pytest

from feedback.review.review_task_content import FACTS
from tests.feedback.review.requesters import push
from tests.support.real_platform import ADDRESSES
from tests.support.review_world import ADA, BEN, CLEO, DAN, PROJECT, World, policy_text

PEOPLE = """
[people."ada@example.com"]
[people."ben@example.com"]
skills = ["refunds"]
[people."cleo@example.com"]
tiers = ["L2"]
skills = ["refunds"]
[people."dan@example.com"]
tiers = ["L2"]
"""


def rule(to: str, *, name: str = "refund", skills: str = '["refunds"]', more: str = "") -> str:
    when = 'when = { data.text.contains = "refund" }'
    head = f'[[routing]]\nid = "{name}"\n{when}\nto = "{to}"\nskills = {skills}\nreason = "money goes out"\n{more}\n'
    return f'{head}[[routing]]\nid = "rest"\nto = "L1"\n'


@pytest.fixture
def addresses() -> dict[int, str]:
    return dict(ADDRESSES)


def routed(world: World, to: str) -> int:
    world.use(policy_text(more=rule(to) + PEOPLE))
    (task,) = world.site.add("a refund")
    world.turn()
    world.turn()
    return task


def test_in_the_first_tier_an_answer_without_the_rules_skill_leaves_the_task_open(world: World):
    task = routed(world, "L1")
    world.site.answer(task, "tool", person=ADA)
    assert world.site.tasks[task].is_labeled
    turn = world.turn()

    assert (turn.answers, turn.settled) == (0, 0)
    assert not world.site.tasks[task].is_labeled
    assert world.site.next_task(BEN) == task
    (row,) = world.store.uncounted.list_uncounted(PROJECT, "kind", task=task)
    assert (row.person, row.why) == (ADA, "lacks what this case needs: refunds")
    world.site.answer(task, "fruit", person=BEN)
    assert world.turn().settled == 1


def test_in_a_review_tier_a_verdict_without_the_rules_skill_does_not_move_the_case(world: World):
    task = routed(world, "L2")
    (copy,) = world.site.waiting(world.site.review_project_of("L2"), DAN)
    assert copy.data[FACTS]["Required skills"] == "refunds"
    world.review("L2", "fix", "tool", person=DAN, reason="boundary")
    world.turn()

    case = world.case(task)
    assert (case.state, world.trail(task)[-1]) == ("queued", "refuse")
    assert world.notes(task)[-1] == "lacks what this case needs: refunds"
    (look,) = world.store.reviews.list_reviews(PROJECT)
    assert (look.counted, look.refused) == (False, "lacks what this case needs: refunds")
    (new_task,) = world.site.waiting(world.site.review_project_of("L2"), CLEO)
    world.review("L2", "fix", "fruit", person=CLEO, reason="boundary", task=new_task.id)
    world.turn()
    assert world.final(task) == "fruit"


def test_a_case_that_the_routing_sends_elsewhere_wants_what_the_new_rule_wants(world: World):
    task = routed(world, "L2")
    assert world.case(task).skills == ("refunds",)
    world.use(policy_text(more=rule("L3", name="board", skills="[]") + PEOPLE))
    world.turn()
    world.turn()

    case = world.case(task)
    assert (case.tier, case.skills, case.rule, case.why) == ("L3", (), "board", "money goes out")


def test_who_decided_does_not_decide_about_the_objection(world: World):
    world.use(policy_text(more=PEOPLE.replace('tiers = ["L2"]', 'tiers = ["L2", "L3"]') + '[rights]\ntier = "L2"\n'))
    (task,) = world.site.add("a refund")
    world.turn()
    world.use(policy_text(more=rule("L2", skills="[]") + PEOPLE + '[rights]\ntier = "L2"\n'))
    world.turn()
    world.turn()
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    world.turn()
    world.turn()
    assert world.case(task).state == "resolved"
    push(world, task, value=True)
    world.turn()
    world.turn()
    assert (world.case(task).tier, world.case(task).round) == ("L2", 2)
    world.review("L2", "fix", "fruit", person=CLEO, reason="boundary")
    world.turn()
    assert "nobody decides their own case" in world.notes(task)[-1]

    (new_task,) = world.site.waiting(world.site.review_project_of("L2"), DAN)
    world.review("L2", "fix", "fruit", person=DAN, reason="boundary", task=new_task.id)
    world.turn()
    assert world.case(task).answer is not None
    assert world.case(task).state in ("decided", "resolved")
