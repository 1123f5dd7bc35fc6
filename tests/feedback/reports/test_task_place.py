"""The first line of `hitl why`: where a task is now."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from feedback.cli import app
from feedback.project.snapshot import load_splits
from feedback.reports.task_place import describe_place
from tests.support.review_world import CLEO, PROJECT, World, open_case, policy_text


def place(world: World, task: int) -> str:
    return describe_place(world.store, world.row, task)


def test_a_task_is_followed_from_the_queue_to_the_decision(world: World, data_dir: Path):
    world.use(policy_text(), overlap=2)
    first, second = world.site.add("a1 apple", "a2 pear")
    assert place(world, first) == "unknown"
    world.turn()
    served = [world.site.next_task(1)]
    assert place(world, served[0] or 0) == "waits in L1, place 1 of the queue"
    world.disagree(first)
    world.turn()
    case = world.case(first)
    assert place(world, first).startswith(
        f"in review at L2, queued: review task {case.review_task} of project {case.review_project}"
    )
    assert CliRunner().invoke(app, ["why", PROJECT, str(first)]).output.startswith(f"Task {first}: in review at L2")
    world.review("L2", "guideline", person=CLEO, reason="guideline_gap", comment="and toys?")
    world.turn()
    assert "waits for an answer to a reviewer's question" in place(world, first)
    world.site.answer(second, "fruit", person=1)
    world.turn()
    assert place(world, second).endswith("1 person has answered")
    world.site.answer(second, "fruit", person=2)
    world.turn()
    assert place(world, second) == "done: answered by 2 people in L1"


def test_a_decided_task_and_one_on_hold_say_so(world: World):
    task = open_case(world)
    world.review("L2", "fix", "fruit", person=CLEO, reason="boundary")
    world.turn()
    assert place(world, task) == "done: decided at L2: fruit"

    rules = '[[routing]]\nid = "later"\nwhen = { data.text.contains = "pear" }\nto = "hold"\n'
    world.use(policy_text(more=rules + '[[routing]]\nid = "rest"\nto = "L1"\n'))
    (held,) = world.site.add("a pear")
    world.turn()
    assert place(world, held) == "on hold, by rule later; nobody is asked"


def test_an_open_audit_task_looks_like_any_other(world: World):
    text = policy_text().replace("[audit]\nshare = 0.0", "[audit]\nshare = 0.5\nquota = 1.0")
    world.use(text)
    tasks = world.site.add(*(f"a{number} apple" for number in range(8)))
    world.turn()
    row = world.row
    splits = load_splits(world.store, row, row.policy)
    roles = splits.roles([splits.dedup_key(world.site.tasks[task].data) for task in tasks])
    (audit, *_) = [task for task, role in zip(tasks, roles, strict=True) if role != "train"]

    assert "audit" not in place(world, audit)
    world.site.answer(audit, "fruit")
    world.turn()
    assert place(world, audit) == "done: answered by 1 person in L1; an audit task, which measures models"


def test_a_task_that_came_with_an_answer_is_asked_of_nobody(world: World):
    world.use(policy_text())
    (task,) = world.site.add("a1 apple")
    world.site.come_with(task, "fruit")
    world.turn()

    assert place(world, task).startswith("came with an imported answer, so nobody is asked")
