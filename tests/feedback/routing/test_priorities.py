"""What is urgent is asked first, and what a rule wants more people for is asked again."""

from __future__ import annotations

from feedback.policy.schema import Audit
from feedback.project.snapshot import SnapshotCache
from tests.support.routed_project import RoutedProject, rules


def test_urgent_tasks_come_first_and_low_ones_last(routed_project: RoutedProject):
    routed_project.use(
        rules(
            "when = { data.p = 'urgent' }\nto = 'L1'\npriority = 'urgent'",
            "when = { data.p = 'low' }\nto = 'L1'\npriority = 'low'",
        )
    )
    given = [routed_project.add(f"t{number}", p=["low", "", "urgent"][number % 3]) for number in range(9)]
    routed_project.turn()
    kinds = [routed_project.studio.tasks[task].data["p"] for task in routed_project.order()]

    assert sorted(routed_project.order()) == given
    assert kinds == ["urgent"] * 3 + [""] * 3 + ["low"] * 3


def test_a_new_urgent_task_is_placed_before_the_others(routed_project: RoutedProject):
    routed_project.use(rules("when = { data.p = 'urgent' }\nto = 'L1'\npriority = 'urgent'"))
    for number in range(6):
        routed_project.add(f"t{number}")
    first = routed_project.turn()
    urgent = routed_project.add("now", p="urgent")
    second = routed_project.turn()

    assert routed_project.studio.next_task(1) == urgent
    assert second.window == first.window  # the version grew
    assert second.asked == "1 more urgent tasks wait"


def test_a_signal_about_a_waiting_task_brings_it_to_the_front(routed_project: RoutedProject):
    routed_project.use(rules("when = { signal.user_report.count.gte = 1 }\nto = 'L1'\npriority = 'urgent'"))
    tasks = [routed_project.add(f"t{number}") for number in range(8)]
    routed_project.turn()
    last = routed_project.order()[-1]
    routed_project.signal(last)
    turn = routed_project.turn()

    assert last in tasks
    assert turn.asked == "priorities changed"
    assert routed_project.studio.next_task(1) == last
    assert routed_project.turn().asked == ""  # once


def test_a_rule_may_want_more_people(routed_project: RoutedProject):
    routed_project.use(rules("when = { data.amount.gte = 5000 }\nto = 'L1'\noverlap = 2"))
    small, big = routed_project.add("a", amount=5), routed_project.add("b", amount=9000)
    routed_project.turn()
    for task in (small, big):
        routed_project.studio.answer(task, "tool", person=1)
    turn = routed_project.turn()
    wants = routed_project.studio.next_task(2)
    routed_project.studio.answer(big, "tool", person=2)
    done = routed_project.turn()

    assert (turn.settled, turn.reopened) == (1, 1)
    assert wants == big
    assert done.settled == 2


def test_people_who_differ_are_sent_to_the_next_tier_instead_of_a_third_opinion(routed_project: RoutedProject):
    routed_project.use(
        rules(
            "when = { history.votes.gte = 2, history.support.lt = 0.6 }\nto = 'L2'\nreason = 'people differ'",
            "when = { data.x = 1 }\nto = 'L1'\noverlap = 2",
        )
    )
    task = routed_project.add("a", x=1)
    routed_project.turn()
    routed_project.studio.answer(task, "tool", person=1)
    routed_project.turn()
    routed_project.studio.answer(task, "fruit", person=2)
    routed_project.turn()

    assert routed_project.outcome(task) == "L2"
    assert routed_project.studio.tasks[task].is_labeled
    assert routed_project.studio.next_task(3) is None


def test_urgent_tasks_that_never_end_leave_the_audit_its_quota(routed_project: RoutedProject):
    policy = rules("when = { data.p = 'urgent' }\nto = 'L1'\npriority = 'urgent'")
    audited = policy.model_copy(update={"audit": Audit(share=0.3, quota=0.25, start=0)})
    routed_project.use(audited)
    for number in range(30):
        routed_project.add(f"t{number}")
    routed_project.turn()
    audit = {task for task, role in routed_project.load_snapshot(SnapshotCache()).roles.items() if role != "train"}
    served = list[int]()
    for number in range(40):  # two urgent tasks come for each answer
        routed_project.add(f"now {number}", p="urgent")
        routed_project.add(f"and now {number}", p="urgent")
        routed_project.turn()
        task = routed_project.studio.next_task(1)
        assert task is not None
        served.append(task)
        routed_project.studio.answer(task, "tool", person=1)
    audit |= {task for task, role in routed_project.load_snapshot(SnapshotCache()).roles.items() if role != "train"}

    assert served[0] not in audit  # what is urgent begins
    assert 6 <= sum(task in audit for task in served) <= 14
