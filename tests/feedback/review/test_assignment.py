"""The copy of a case in a review project: one, open, and its own, whatever becomes of it."""

from __future__ import annotations

from dataclasses import replace

from feedback.review.review_task_content import KEY
from feedback.store.log import events
from tests.support.review_world import ADA, BEN, CLEO, PROJECT, World, open_case, policy_text


def test_a_deleted_task_withdraws_its_case_and_its_copy(world: World):
    task = open_case(world)
    del world.site.tasks[task]
    for number, annotation in list(world.site.annotations.items()):
        if annotation.task == task:
            del world.site.annotations[number]
    world.store.append(events.deletions(PROJECT, "task", [task]))
    world.turn()

    assert world.case(task).state == "withdrawn"
    assert world.site.waiting(world.site.review_project_of("L2"), CLEO) == []


def test_a_closed_copy_of_an_open_case_is_opened_again(world: World):
    task = open_case(world)
    world.review("L2", "fix", "tool", person=BEN, reason="boundary")
    world.turn()
    review_project, copy = world.site.review_project_of("L2"), world.case(task).review_task
    assert copy is not None
    world.site.review_tasks[review_project][copy] = replace(
        world.site.review_tasks[review_project][copy], is_labeled=True, updated_at=world.site._tick()
    )
    world.turn()

    assert [row.id for row in world.site.waiting(review_project, CLEO)] == [copy]


def test_a_copy_that_somebody_deleted_is_put_in_again(world: World):
    task = open_case(world)
    review_project, copy = world.site.review_project_of("L2"), world.case(task).review_task
    assert copy is not None
    del world.site.review_tasks[review_project][copy]
    world.store.append(events.deletions(review_project, "task", [copy]))
    world.turn()

    (new_task,) = world.site.waiting(review_project, CLEO)
    assert (new_task.id, world.case(task).copies) == (world.case(task).review_task, 2)


def test_a_copy_that_was_answered_meanwhile_is_not_removed(world: World):
    task = open_case(world, l2='resolve = "10m"\non_breach = "reassign"')
    old = world.case(task).review_task
    assert old is not None
    world.site.pass_time(11 * 60)
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary", task=old)
    world.loop.turn(PROJECT, poll=False)  # the answer has not come yet: the old copy is about to be removed
    world.turn()

    assert old in world.site.review_tasks[world.site.review_project_of("L2")]
    assert world.final(task) == "tool"


def test_a_number_that_passed_to_another_case_brings_no_answer_to_the_first(world: World):
    """Label Studio on SQLite gives the number of a deleted copy to the next one."""
    world.use(policy_text(l2='resolve = "10m"\non_breach = "reassign"'), overlap=2)
    first, second = world.site.add("a1 apple red", "a2 pear old")
    world.turn()
    world.disagree(first)
    old = world.case(first).review_task
    assert old is not None
    world.site.pass_time(11 * 60)
    world.site.reuse = {"a2 pear old": old}
    world.site.answer(second, "fruit", person=ADA)
    world.site.answer(second, "tool", person=BEN)
    world.turn()
    assert world.case(second).review_task == old
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary", task=old)
    world.turn()

    assert (world.case(second).state, world.case(first).state) == ("resolved", "queued")


def test_every_copy_names_its_case(world: World):
    task = open_case(world)
    (copy,) = world.site.waiting(world.site.review_project_of("L2"), CLEO)

    assert copy.data[KEY] == f"case-{world.case(task).id}-1-L2-1"
