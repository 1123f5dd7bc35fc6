"""What is urgent is asked first, and what a rule wants more people for is asked again."""

from __future__ import annotations

from tests.feedback.routing.world import World, rules


def test_urgent_tasks_come_first_and_low_ones_last(world: World):
    world.use(
        rules(
            "when = { data.p = 'urgent' }\nto = 'L1'\npriority = 'urgent'",
            "when = { data.p = 'low' }\nto = 'L1'\npriority = 'low'",
        )
    )
    given = [world.add(f"t{number}", p=["low", "", "urgent"][number % 3]) for number in range(9)]
    world.turn()
    kinds = [world.studio.tasks[task].data["p"] for task in world.order()]

    assert sorted(world.order()) == given
    assert kinds == ["urgent"] * 3 + [""] * 3 + ["low"] * 3


def test_a_new_urgent_task_is_placed_before_the_others(world: World):
    world.use(rules("when = { data.p = 'urgent' }\nto = 'L1'\npriority = 'urgent'"))
    for number in range(6):
        world.add(f"t{number}")
    first = world.turn()
    urgent = world.add("now", p="urgent")
    second = world.turn()

    assert world.studio.next_task(1) == urgent
    assert second.window == first.window  # the version grew
    assert second.asked == "1 more urgent tasks wait"


def test_a_signal_about_a_waiting_task_brings_it_to_the_front(world: World):
    world.use(rules("when = { signal.user_report.count.gte = 1 }\nto = 'L1'\npriority = 'urgent'"))
    tasks = [world.add(f"t{number}") for number in range(8)]
    world.turn()
    last = world.order()[-1]
    world.signal(last)
    turn = world.turn()

    assert last in tasks
    assert turn.asked == "priorities changed"
    assert world.studio.next_task(1) == last
    assert world.turn().asked == ""  # once


def test_a_rule_may_want_more_people(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L1'\noverlap = 2"))
    small, big = world.add("a", amount=5), world.add("b", amount=9000)
    world.turn()
    for task in (small, big):
        world.studio.answer(task, "tool", person=1)
    turn = world.turn()
    wants = world.studio.next_task(2)
    world.studio.answer(big, "tool", person=2)
    done = world.turn()

    assert (turn.settled, turn.reopened) == (1, 1)
    assert wants == big
    assert done.settled == 2


def test_people_who_differ_are_sent_to_the_next_tier_instead_of_a_third_opinion(world: World):
    world.use(
        rules(
            "when = { history.votes.gte = 2, history.support.lt = 0.6 }\nto = 'L2'\nreason = 'people differ'",
            "when = { data.x = 1 }\nto = 'L1'\noverlap = 2",
        )
    )
    task = world.add("a", x=1)
    world.turn()
    world.studio.answer(task, "tool", person=1)
    world.turn()
    world.studio.answer(task, "fruit", person=2)
    world.turn()

    assert world.outcome(task) == "L2"
    assert world.studio.tasks[task].is_labeled
    assert world.studio.next_task(3) is None
