"""A decision is made again when something changed, never else, and can be made once more from what was recorded."""

from __future__ import annotations

from dataclasses import replace

from feedback.ingest.signals import SignalHandler
from feedback.policy.schema import Tasks
from feedback.routing.router import explain_decision
from tests.feedback.routing.world import World, rules


def test_a_signal_about_a_settled_task_is_decided_too(world: World):
    world.use(rules("when = { signal.human_review = true }\nto = 'L2'\nreason = 'they asked'"))
    task = world.add("a")
    world.turn()
    world.studio.answer(task, "tool")
    world.turn()
    world.signal(task, "human_review", value=True)
    world.turn()

    assert world.outcome(task) == "L2"
    assert world.studio.tasks[task].is_labeled


def test_a_signal_about_the_whole_project_reaches_every_task(world: World):
    world.use(rules("when = { signal.policy_update = 'v2', data.topic = 'hate' }\nto = 'L2'"))
    hate, other = world.add("a", topic="hate"), world.add("b", topic="sport")
    world.signal(None, "policy_update", value="v2")
    world.turn()

    assert (world.outcome(hate), world.outcome(other)) == ("L2", "L1")


def test_a_turn_without_changes_records_no_decision(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    for number in range(5):
        world.add(f"t{number}", amount=number * 2000)
    world.turn()
    before = (len(world.store.decisions.list_decisions("7")), world.studio.writes)
    world.now_s += 3600
    world.turn()

    assert (len(world.store.decisions.list_decisions("7")), world.studio.writes) == before


def test_changed_data_and_a_changed_policy_are_decided_again(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    task = world.add("a", amount=5)
    world.turn()
    world.studio.tasks[task] = replace(
        world.studio.tasks[task], data={"text": "a", "amount": 6}, updated_at=world.studio._tick()
    )
    world.turn()
    world.use(rules("when = { data.amount.gte = 6 }\nto = 'L2'"))
    world.turn()
    found = world.store.decisions.list_decisions("7", task=task)

    assert [row.standing.outcome for row in found] == ["L2", "L1", "L1"]
    assert len({row.standing.policy for row in found}) == 2
    assert len({row.content for row in found}) == 2


def test_every_decision_is_replayed_from_its_recorded_inputs(world: World):
    world.use(
        rules(
            "when = { data.amount.gte = 5000, signal.user_report.count.gte = 1 }\nto = 'auto'\ntier = 'L2'",
            "when = { time.age.gte = '1s', data.text.matches = '^t[0-4]' }\nto = 'L1'\npriority = 'high'",
        )
    )
    tasks = [world.add(f"t{number}", amount=number * 1500) for number in range(10)]
    for task in tasks[::2]:
        world.signal(task, key=f"k{task}")
    world.turn()
    world.use(rules("when = { data.amount.lt = 0 }\nto = 'L2'"))  # the policy that decided is kept
    found = [
        explain_decision(world.store, "7", row)
        for task in tasks
        for row in world.store.decisions.list_decisions("7", task=task)
    ]

    assert len(found) == 10
    assert all(row.same for row in found)
    assert {row.decision.standing.rule for row in found} == {"r0", "r1", "default"}
    assert all(row.clauses[-1][0] == row.decision.standing.rule for row in found)
    refused = next(row for row in found if row.decision.standing.rule == "r0")
    assert refused.decision.standing.refused == "no certificate allows it yet"


def test_a_forged_decision_does_not_replay(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    task = world.add("a", amount=9000)
    world.turn()
    (made,) = world.store.decisions.list_decisions("7", task=task)
    forged = replace(made, standing=replace(made.standing, rule="default", outcome="L1"))

    assert explain_decision(world.store, "7", forged).same is False
    assert "r0 → L2" in explain_decision(world.store, "7", forged).note


def test_a_decision_about_erased_data_cannot_be_replayed(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    task = world.add("a", amount=9000)
    world.turn()
    (made,) = world.store.decisions.list_decisions("7", task=task)

    found = explain_decision(world.store, "7", replace(made, content="0" * 64))
    assert (found.same, found.note) == (None, "the data of the task were erased")


def test_a_signal_by_order_number_that_comes_before_its_task_routes_it_once_it_is_there(world: World):
    policy = rules("when = { signal.user_report.exists = true }\nto = 'L2'")
    world.use(policy.model_copy(update={"tasks": Tasks(key="order")}))
    other = world.add("a", order="A-1")
    world.turn()
    body = {"project": "7", "key": "A-2", "signal": "user_report", "value": "scam", "id": "k"}
    answer = SignalHandler(world.store, clock=lambda: world.now_s)(body)
    world.turn()
    task = world.add("b", order="A-2")
    world.turn()

    assert answer["status"] == "parked"
    assert (world.outcome(other), world.outcome(task)) == ("L1", "L2")
