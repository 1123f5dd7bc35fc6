"""The predictor answers every task in order, whatever the task, and shows nothing that is not to be shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from ml_backend.errors import LabelConfigError
from ml_backend.predictor import NO_MODEL_VERSION
from tests.support.serving import CONFIG, CONTROL, FakeBundle, FakeClock, FakeRegistry, make, predicted_labels, tasks


def test_before_any_champion_every_task_gets_an_empty_result_of_the_cold_version():
    predictor = make(FakeRegistry())

    assert predictor.version("1") == NO_MODEL_VERSION
    assert predictor.predict("1", CONFIG, tasks("A", "B")) == [
        {"result": [], "score": 0.0, "model_version": NO_MODEL_VERSION},
        {"result": [], "score": 0.0, "model_version": NO_MODEL_VERSION},
    ]


def test_results_come_one_per_task_in_order_with_the_version_that_setup_answers():
    predictor = make(FakeRegistry({"1": "m3"}))

    results = predictor.predict("1", CONFIG, tasks("B", "A", "B"))

    assert predicted_labels(results) == ["B", "A", "B"]
    assert {result["model_version"] for result in results} == {predictor.version("1")} == {"m3"}
    assert results[0]["score"] == results[0]["result"][0]["score"] == 0.75
    assert (results[0]["result"][0]["from_name"], results[0]["result"][0]["to_name"]) == ("c", "text")


@pytest.mark.parametrize("broken", [None, 7, "x", [], {}, {"data": None}, {"data": []}, {"id": 1, "data": {"text": 5}}])
def test_a_broken_task_gets_an_empty_result_and_its_neighbours_theirs(broken: Any):
    a, b = tasks("A", "B")

    results = make(FakeRegistry({"1": "m1"})).predict("1", CONFIG, [a, broken, b])

    assert predicted_labels(results) == ["A", None, "B"]
    assert results[1] == {"result": [], "score": 0.0, "model_version": "m1"}


def test_a_task_that_breaks_the_model_costs_only_itself():
    counts: Counter[str] = Counter()
    predictor = make(FakeRegistry({"1": "m1"}), count=lambda event, n: counts.update({event: n}))
    texts = ["A"] * 40
    texts[17] = "poison"

    results = predictor.predict("1", CONFIG, tasks(*texts))

    assert predicted_labels(results) == [None if text == "poison" else "A" for text in texts]
    assert counts["unanswered"] == 1


def test_projects_side_by_side_answer_from_their_own_models():
    registry = FakeRegistry({"1": "one", "2": "two"})
    predictor = make(registry)

    versions = [predictor.predict(project, CONFIG, tasks("A"))[0]["model_version"] for project in ("1", "2", "1", "3")]

    assert versions == ["one", "two", "one", NO_MODEL_VERSION]
    assert predictor.serving() == ["one", "two"]


def test_blind_tasks_are_empty_and_the_others_are_not():
    rules: dict[str, Any] = {"1": lambda task: task.id % 2 == 0, "2": lambda task: task.data["text"] == "A"}
    predictor = make(FakeRegistry({"1": "m1", "2": "m2"}), blind=rules.__getitem__)

    assert predicted_labels(predictor.predict("1", CONFIG, tasks("A", "A", "A"))) == ["A", None, "A"]
    assert predicted_labels(predictor.predict("2", CONFIG, tasks("A", "B", "A"))) == [None, "B", None]


def test_the_rule_of_what_is_blind_is_asked_for_as_often_as_the_champion():
    clock, asked = FakeClock(), list[str]()

    def rule(project: str) -> Any:
        asked.append(project)
        return lambda task: len(asked) > 1  # everything, from the second time on

    predictor = make(FakeRegistry({"1": "m1"}), clock=clock, blind=rule)
    before = [predictor.predict("1", CONFIG, tasks("A", "B")) for _ in range(3)]
    clock.pass_s(1)

    assert [predicted_labels(result) for result in before] == [["A", "B"]] * 3
    assert predicted_labels(predictor.predict("1", CONFIG, tasks("A", "B"))) == [None, None]
    assert asked == ["1", "1"]


def test_without_a_blind_rule_nothing_is_shown():
    def down(_: Any) -> Any:
        raise OSError("the database is down")

    no_rule = make(FakeRegistry({"1": "m1"}), blind=down)
    no_verdict = make(FakeRegistry({"1": "m1"}), blind=lambda project: down)

    assert predicted_labels(no_rule.predict("1", CONFIG, tasks("A", "B"))) == [None, None]
    assert predicted_labels(no_verdict.predict("1", CONFIG, tasks("A", "B"))) == [None, None]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"kind": "rating"},
        {"object_kind": "image"},
        {"field": "body"},
        {"labels": ("X", "Y")},
    ],
)
def test_a_champion_that_learned_another_question_predicts_nothing(change: dict[str, Any]):
    registry = FakeRegistry({"1": "m1"}, control=replace(CONTROL, **change))

    results = make(registry).predict("1", CONFIG, tasks("A", "X"))

    assert predicted_labels(results) == [None, None]
    assert {result["model_version"] for result in results} == {"m1"}


def test_a_label_that_was_taken_out_of_the_config_is_not_predicted():
    smaller = CONFIG.replace('<Choice value="A"/>', "")

    assert predicted_labels(make(FakeRegistry({"1": "m1"})).predict("1", smaller, tasks("A", "B"))) == [None, "B"]


@pytest.mark.parametrize("xml", ["", "nope", "<View>", "<View><Choices name='c' toName='gone'/></View>"])
def test_an_unreadable_label_config_is_refused(xml: str):
    with pytest.raises(LabelConfigError):
        make(FakeRegistry()).predict("1", xml, tasks("A"))


def test_many_tasks_are_asked_in_bounded_calls():
    registry = FakeRegistry({"1": "m1"})
    bundle = FakeBundle("m1")
    predictor = make(registry, load=lambda data, digest: bundle)

    results = predictor.predict("1", CONFIG, tasks(*["A"] * 4_500))

    assert len(results) == 4_500
    assert bundle.calls == [2_000, 2_000, 500]
