"""Answers to indicator questions count for the other tasks of a customer at once, and never before their time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from feedback.policy import read_policy
from feedback.project.indicators import make_indicator_reader
from feedback.project.snapshot import as_of_first_answer, load_snapshot
from feedback.review.indicator_ingest import ingest_indicators
from feedback.review.review_task_content import HISTORY
from feedback.store import IndicatorValue, Store
from ml_backend.label_config import read_label_config
from ml_backend.records import Task, with_indicators
from ml_backend.registry import unpack
from tests.support.fake_platform import TEXT_CONFIG
from tests.support.review_world import ADA, BEN, CLEO, DAN, PROJECT, World, policy_text

ASKED = """
[feedback.fraud_type]
options = ["card", "identity"]
feature = true
entity = "customer"
[feedback.risk]
kind = "rating"
feature = true
entity = "customer"
[feedback.signs]
kind = "choices"
options = ["new device", "night"]
feature = true
entity = "customer"
[feedback.remark]
kind = "text"
"""
FRAUD = {"hitl_ask_fraud_type": ["card"], "hitl_ask_risk": 4, "hitl_ask_signs": ["night"], "hitl_ask_remark": ["hm"]}


def add(world: World, customer: object) -> int:
    (task,) = world.site.add("refund please")
    world.site.tasks[task] = replace(world.site.tasks[task], data={"text": f"refund {task}", "customer": customer})
    return task


def say(world: World, task: int, *, verdict: str = "fix", person: int = CLEO, **answers_given: Any) -> int:
    """Review the copy of a task, with answers to the policy's questions."""
    review_project = world.site.review_project_of("L2")
    (copy,) = [row.id for row in world.site.waiting(review_project, person) if row.data["text"] == f"refund {task}"]
    world.site.review(
        review_project, verdict, "tool" if verdict == "fix" else "", person=person, reason="boundary", task=copy
    )
    number = max(world.site.review_annotations[review_project])
    annotation = world.site.review_annotations[review_project][number]
    answers = answers_given or FRAUD
    regions = [
        {"from_name": name, "to_name": "hitl_case", "type": "choices", "value": _held(name, value)}
        for name, value in answers.items()
    ]
    world.site.review_annotations[review_project][number] = replace(annotation, result=(*annotation.result, *regions))
    return number


def _held(name: str, value: Any) -> dict[str, Any]:
    return {"rating": value} if name.endswith("risk") else {"text" if name.endswith("remark") else "choices": value}


def known(world: World, customer: object, task: int = 999) -> dict[str, Any]:
    """What serving would read now beside a task of this customer."""
    policy = read_policy(policy_text(more=ASKED))
    return dict(make_indicator_reader(world.store, PROJECT, policy)([Task(task, {"customer": customer}, PROJECT)])[0])


def disagreed(world: World, customer: object = 7) -> int:
    world.use(policy_text(more=ASKED), overlap=2)
    task = add(world, customer)
    world.turn()
    world.disagree(task)
    return task


def test_an_indicator_counts_at_once_for_other_tasks_of_the_customer(world: World):
    task = disagreed(world)
    say(world, task)
    assert known(world, 7) == {}
    world.turn()

    assert known(world, 7) == {"fraud_type": "card", "risk": 4.0, "signs": ("night",)}
    assert known(world, "7") == known(world, 7.0) == known(world, 7)  # CSV imports make numbers texts
    assert known(world, 8) == known(world, None) == {}
    assert known(world, 7, task) == {}  # what came with the answer to a task is no feature of it


def test_the_next_turn_reads_an_indicator_with_the_other_tasks(world: World):
    task = disagreed(world)
    other = add(world, 7)
    say(world, task)
    world.turn()

    assert snapshot(world).data(other)["hitl_indicators"]["fraud_type"] == "card"
    assert "hitl_indicators" not in snapshot(world).data(task)
    assert world.store.jobs.claim_job("w", lease_s=9, kinds=("turn",)) is not None  # the turn asked for the next one


def test_a_training_row_has_only_indicators_recorded_before_its_first_answer(world: World):
    first = disagreed(world)
    early, late = add(world, 7), add(world, 7)
    world.turn()
    world.site.answer(early, "fruit", person=DAN)  # before anything is recorded of customer 7
    say(world, first)
    world.turn()
    world.site.pass_time(60)
    world.site.answer(late, "fruit", person=DAN)
    world.turn()
    then = as_of_first_answer(world.store, snapshot(world))

    assert "hitl_indicators" not in then.data(early)
    assert then.data(late)["hitl_indicators"]["fraud_type"] == "card"


def test_the_answer_of_an_excluded_person_is_no_indicator(world: World):
    task = disagreed(world)
    say(world, task, person=BEN)  # has answered this case below
    world.turn()
    assert known(world, 7) == {}

    say(world, task, person=CLEO)
    world.turn()
    assert known(world, 7)["fraud_type"] == "card"
    stored_indicators = world.store.indicators.list_indicators(PROJECT)
    assert {value.person for value in stored_indicators} == {CLEO}


def test_a_withdrawn_indicator_is_gone_from_then_on(world: World):
    task = disagreed(world)
    number = say(world, task)
    world.turn()
    before = max(value.recorded_s for value in world.store.indicators.list_indicators(PROJECT))
    review_project = world.site.review_project_of("L2")
    annotation = world.site.review_annotations[review_project][number]
    kept = tuple(row for row in annotation.result if "fraud_type" not in row["from_name"])
    world.site.pass_time(5)
    world.site.review_annotations[review_project][number] = replace(
        annotation, result=kept, updated_at=world.site._tick()
    )
    copy = world.site.review_tasks[review_project][annotation.task]
    world.site.review_tasks[review_project][annotation.task] = replace(copy, updated_at=world.site._tick())
    world.turn()

    assert "fraud_type" not in known(world, 7)
    assert known(world, 7)["risk"] == 4.0
    withdrawn = [value for value in world.store.indicators.list_indicators(PROJECT) if value.name == "fraud_type"]
    assert [row.value for row in sorted(withdrawn, key=lambda row: row.seq)] == ["card", None]
    assert withdrawn[-1].recorded_s >= before  # the past still knows what it knew


def test_a_control_of_the_source_project_gives_indicators_and_is_not_asked_twice(world: World):
    config = TEXT_CONFIG.replace(
        "</View>",
        '<Choices name="fraud_type" toName="text"><Choice value="card"/><Choice value="identity"/></Choices></View>',
    )
    world.site.describe_project = lambda _project: {"title": "fake", "label_config": config}  # type: ignore[method-assign]
    world.use(policy_text(more=ASKED), overlap=2)
    world.store.projects.save_project(replace(world.row, label_config=config))
    task = add(world, 7)
    world.turn()
    number = world.site.answer(task, "fruit", person=ADA)
    annotation = world.site.annotations[number]
    chosen = {"from_name": "fraud_type", "to_name": "text", "type": "choices", "value": {"choices": ["identity"]}}
    world.site.annotations[number] = replace(annotation, result=(*annotation.result, chosen))
    world.turn()
    world.site.answer(task, "tool", person=BEN)
    world.turn()

    assert known(world, 7) == {"fraud_type": "identity"}
    asked = read_label_config(world.site.review_projects[world.site.review_project_of("L2")].label_config)
    assert [item.name for item in asked.controls].count("fraud_type") == 1
    assert "hitl_ask_fraud_type" not in {item.name for item in asked.controls}


def test_a_rebuild_or_other_questions_read_the_logs_again_with_the_same_result(world: World):
    task = disagreed(world)
    say(world, task)
    world.turn()
    before = stored_indicators(world.store)
    world.store.rebuild()
    assert stored_indicators(world.store) == set()
    world.turn()
    assert stored_indicators(world.store) == before
    assert ingest_indicators(world.store, snapshot(world)) == 0

    world.use(policy_text(more=ASKED.replace('"night"', '"night", "vpn"')), overlap=2)
    world.turn()
    assert stored_indicators(world.store) == before


def test_the_indicators_of_an_erased_person_are_gone(world: World):
    task = disagreed(world)
    say(world, task)
    world.turn()
    world.store.erasure.erase_data(PROJECT, person=CLEO)

    assert known(world, 7) == {}


def test_the_loop_trains_with_indicators_and_names_them_in_the_recipe(world: World):
    small = policy_text(more=ASKED).replace("min_rows = 500", "min_rows = 8").replace("window = 10", "window = 40")
    world.use(small, overlap=2)
    first = add(world, 7)
    world.turn()
    world.disagree(first)
    say(world, first)
    world.turn()
    world.site.pass_time(60)
    world.use(small.replace("[overlap]\n", "[overlap]\nvotes = 1\n"), overlap=1)
    world.store.projects.save_project(replace(world.row, overlap=1))
    later = [add(world, 7 if number % 2 else 8) for number in range(12)]
    world.turn()
    for number, task in enumerate(later):
        world.site.answer(task, "tool" if number % 2 else "fruit", person=DAN)
    world.turn()
    trainings = world.store.records.list_records(PROJECT, "training")
    world.turn()

    assert [item.body["recipe"] for item in trainings] == ["text-choices/2 with fraud_type, risk, signs"]
    assert (
        world.store.records.list_records(PROJECT, "training") == trainings
    )  # the same recipe, nothing new: nothing is due
    artefact = world.store.registry.artefact(PROJECT, trainings[0].body["version"])
    model = unpack(artefact.data, artefact.digest)
    assert model.indicators == ("fraud_type", "risk", "signs")
    known = {"fraud_type": "card", "risk": 4.0, "signs": ["night"]}
    rows = model.proba([with_indicators({"text": "refund 99"}, item) for item in ({}, known)])
    tool = model.classes.index("tool")
    assert rows[1, tool] > 0.8 > 0.5 > rows[0, tool]


@pytest.mark.parametrize("blind", [False, True])
def test_the_next_tier_sees_indicators_unless_it_is_blind(world: World, blind: bool):
    world.use(policy_text(more=ASKED, l3="blind = true" if blind else ""), overlap=2)
    task = add(world, 7)
    world.turn()
    world.disagree(task)
    say(world, task, verdict="escalate")
    world.turn()
    (copy,) = world.site.waiting(world.site.review_project_of("L3"), DAN)

    answers_given = " ".join(line["text"] for line in copy.data[HISTORY])
    assert all(
        (received in answers_given) != blind
        for received in ("fraud_type: card", "risk: 4", "signs: night", "remark: hm")
    )
    assert ("card" in str(copy.data)) != blind


def stored_indicators(store: Store) -> set[IndicatorValue]:
    return set(store.indicators.list_indicators(PROJECT))


def snapshot(world: World) -> Any:
    return load_snapshot(world.store, world.row, read_policy(policy_text(more=ASKED)))
