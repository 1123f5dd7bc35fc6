"""What happens to a case whose clock runs out, and what stops a clock."""

from __future__ import annotations

from tests.support.review_world import ADA, CLEO, PROJECT, World, open_case, policy_text


def test_a_question_stops_the_clock_until_it_is_answered(world: World):
    task = open_case(world, l2='resolve = "1h"\non_breach = "escalate"')
    world.review("L2", "guideline", person=CLEO, reason="guideline_gap", comment="what of nuts?")
    world.turn()
    world.site.pass_time(86_400)
    world.turn()

    case = world.case(task)
    assert (case.state, case.tier, case.breaches) == ("waiting", "L2", 0)


def test_a_first_tier_clock_that_runs_out_escalates_with_a_warning_before(world: World):
    world.use(policy_text(l1='resolve = "10m"\non_breach = "escalate"\nat_risk = 0.5'))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    assert (world.case(task).tier, world.case(task).state) == ("L1", "queued")
    world.site.pass_time(6 * 60)
    world.turn()
    world.site.pass_time(6 * 60)
    world.turn()

    case = world.case(task)
    assert (case.tier, case.breaches) == ("L2", 1)
    assert world.trail(task) == ["open", "warn", "escalate", "assign"]
    assert case.why == "the resolve clock has run out"


def test_an_answer_in_time_settles_a_first_tier_case(world: World):
    world.use(policy_text(l1='resolve = "10m"\non_breach = "escalate"'))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.answer(task, "fruit", person=ADA)
    world.turn()

    assert (world.case(task).state, world.trail(task)) == ("resolved", ["open", "settle"])
    assert world.site.finals == {}  # it stands there already


def test_a_draft_stops_the_clock_of_the_first_action(world: World):
    task = open_case(world, l2='first_action = "5m"\non_breach = "escalate"')
    copy = world.case(task).review_task
    assert copy is not None
    world.site.pass_time(4 * 60)
    world.site.drafts[copy] = (CLEO, world.site.seconds())
    world.site.pass_time(10 * 60)
    world.turn()

    case = world.case(task)
    assert (case.state, case.tier, case.breaches) == ("started", "L2", 0)


def test_a_breach_gives_the_case_to_others_by_a_new_copy(world: World):
    task = open_case(world, l2='resolve = "10m"\non_breach = "reassign"')
    old = world.case(task).review_task
    world.site.pass_time(11 * 60)
    world.turn()

    case = world.case(task)
    assert case.review_task not in (None, old)
    assert (case.state, case.tier, case.breaches, case.copies) == ("queued", "L2", 1, 2)
    world.turn()
    assert [row.id for row in world.site.waiting(world.site.review_project_of("L2"), CLEO)] == [case.review_task]


def test_an_answer_on_the_old_copy_still_counts(world: World):
    task = open_case(world, l2='resolve = "10m"\non_breach = "reassign"')
    old = world.case(task).review_task
    assert old is not None
    world.site.pass_time(11 * 60)
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary", task=old)
    world.loop.turn(PROJECT, poll=False)  # the clock is read before the answer is
    assert world.case(task).copies == 2
    world.turn()

    assert world.final(task) == "tool"


def test_a_breach_at_the_last_tier_is_told_once(world: World):
    task = open_case(world, l2='resolve = "10m"\non_breach = "escalate"', l3='resolve = "10m"\non_breach = "escalate"')
    for _ in range(4):
        world.site.pass_time(11 * 60)
        world.turn()

    assert (world.case(task).tier, world.case(task).breaches) == ("L3", 2)
    assert world.trail(task).count("warn") == 1
