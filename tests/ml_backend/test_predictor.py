"""The predictor answers every task in order, whatever the task, and shows nothing that is not to be shown."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ml_backend.errors import LabelConfigError
from ml_backend.predictor import NO_MODEL_VERSION, Predictor
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
    without_a = CONFIG.replace('<Choice value="A"/>', '<Choice value="C"/>')

    assert predicted_labels(make(FakeRegistry({"1": "m1"})).predict("1", without_a, tasks("A", "B"))) == [None, "B"]


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


def test_the_registry_is_asked_once_per_cache_time_and_the_new_champion_serves_after_it():
    registry, clock = FakeRegistry({"1": "m1"}), FakeClock()
    predictor = make(registry, clock=clock, cache_s=0.5)
    for _ in range(10):
        predictor.version("1")
    asked_within = registry.asked

    registry.champions["1"] = "m2"
    before = predictor.version("1")
    clock.pass_s(0.6)

    assert (asked_within, before, predictor.version("1")) == (1, "m1", "m2")
    assert predictor.predict("1", CONFIG, tasks("A"))[0]["model_version"] == "m2"


def test_a_clock_that_goes_backwards_does_not_freeze_the_champion():
    registry, clock = FakeRegistry({"1": "m1"}), FakeClock()
    predictor = make(registry, clock=clock)
    predictor.version("1")

    registry.champions["1"] = "m2"
    clock.pass_s(-500)

    assert predictor.version("1") == "m2"


def test_a_champion_that_cannot_be_loaded_leaves_the_previous_one_serving_and_is_counted():
    registry, clock = FakeRegistry({"1": "good"}, broken={"bad"}), FakeClock()
    counts: Counter[str] = Counter()
    predictor = make(registry, clock=clock, retry_s=30, count=lambda event, n: counts.update({event: n}))
    predictor.version("1")

    registry.champions["1"] = "bad"
    for _ in range(5):
        clock.pass_s(1)
        assert predicted_labels(predictor.predict("1", CONFIG, tasks("A"))) == ["A"]
        assert predictor.version("1") == "good"
    failed_at_first = counts["load_failed"]
    registry.broken.clear()
    clock.pass_s(31)

    assert failed_at_first == 1  # not tried again on every look
    assert predictor.version("1") == "bad"


def test_a_process_that_starts_with_a_damaged_champion_serves_the_previous_one():
    registry, clock = FakeRegistry({"1": "bad"}, broken={"bad"}, formers={"1": "good"}), FakeClock()
    predictor = make(registry, clock=clock, retry_s=30)

    assert predicted_labels(predictor.predict("1", CONFIG, tasks("A"))) == ["A"]
    assert predictor.version("1") == "good"
    registry.broken.clear()
    clock.pass_s(31)
    assert predictor.version("1") == "bad"


def test_where_neither_can_be_read_it_answers_empty():
    predictor = make(FakeRegistry({"1": "bad"}, broken={"bad", "good"}, formers={"1": "good"}))

    assert predicted_labels(predictor.predict("1", CONFIG, tasks("A"))) == [None]


def test_a_registry_that_is_down_changes_nothing_for_who_is_served():
    registry, clock = FakeRegistry({"1": "m1"}), FakeClock()
    predictor = make(registry, clock=clock)
    predictor.version("1")

    registry.down = True
    clock.pass_s(1)

    assert predicted_labels(predictor.predict("1", CONFIG, tasks("B"))) == ["B"]
    assert predictor.versions("1") == ["m1"]
    assert predictor.version("2") == NO_MODEL_VERSION


def test_only_so_many_models_stay_loaded_and_the_least_asked_goes_first():
    registry = FakeRegistry({str(n): f"m{n}" for n in range(5)})
    predictor = make(registry, keep=2)
    for project in ("0", "1", "0", "2"):
        predictor.version(project)

    predictor.version("0")
    loads_while_kept = list(registry.loaded)
    predictor.version("1")

    assert loads_while_kept == ["m0", "m1", "m2"]
    assert registry.loaded == ["m0", "m1", "m2", "m1"]  # 1 had to go for 2
    assert len(predictor.serving()) == 2


def test_large_models_stay_loaded_within_a_bound_of_bytes():
    registry = FakeRegistry({str(n): f"m{n}" for n in range(3)})
    predictor = make(registry, keep_bytes=1)

    for project in ("0", "1", "2"):
        predictor.version(project)

    assert predictor.serving() == ["m2"]


def test_while_a_new_champion_loads_the_previous_one_serves_and_nobody_waits():
    registry, clock = FakeRegistry({"1": "m1"}), FakeClock()
    predictor = make(registry, clock=clock)
    predictor.version("1")
    loading, may_end = threading.Event(), threading.Event()

    def slowly() -> None:
        loading.set()
        assert may_end.wait(10)

    registry.on_load = slowly
    registry.champions["1"] = "m2"
    clock.pass_s(1)
    with ThreadPoolExecutor(1) as pool:
        loader = pool.submit(predictor.version, "1")
        assert loading.wait(10)
        meanwhile = predictor.predict("1", CONFIG, tasks("A"))[0]["model_version"]
        may_end.set()

    assert (meanwhile, loader.result(), predictor.version("1")) == ("m1", "m2", "m2")


def test_the_first_requests_wait_for_the_model():
    registry = FakeRegistry({"1": "m1"})
    gate = threading.Barrier(4)

    def ask(_: int) -> str:
        gate.wait()
        return predictor.version("1")

    predictor = make(registry)
    with ThreadPoolExecutor(4) as pool:
        versions = list(pool.map(ask, range(4)))

    assert versions == ["m1"] * 4
    assert registry.loaded == ["m1"]


def test_hot_swaps_under_load_never_fail_or_mix_a_request():
    registry = FakeRegistry({"1": "m0"})
    predictor = make(registry, cache_s=0.0)
    stop = threading.Event()

    def ask(_: int) -> set[int]:
        sizes = set()
        while not stop.is_set():
            results = predictor.predict("1", CONFIG, tasks("A", "B"))
            assert predicted_labels(results) == ["A", "B"]
            sizes.add(len({result["model_version"] for result in results}))
        return sizes

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask, n) for n in range(4)]
        for number in range(200):
            registry.champions["1"] = f"m{number}"
        stop.set()

    assert set().union(*(future.result() for future in asking)) <= {1}


def test_a_real_model_of_a_real_registry_serves_and_a_truncated_one_never_replaces_it(tmp_path: Path):
    from ml_backend.calibration import Calibrator
    from ml_backend.label_config import read_label_config
    from ml_backend.models import recipe_for
    from ml_backend.registry import Bundle, FolderRegistry, pack

    control = read_label_config(CONFIG).control()
    recipe = recipe_for(control)
    texts, labels = ["sunny warm day", "cold dark night"] * 10, ["A", "B"] * 10
    model = recipe.fit([{"text": text} for text in texts], labels, field="text", weights=None, seed=0)
    registry, clock = FolderRegistry(tmp_path), FakeClock()
    for version in ("m1", "m2"):
        bundle = Bundle(model, Calibrator(), control, "", recipe.name, version, 20, 0.0, {})
        registry.add("1", version, pack(bundle), {})
    registry.promote("1", "m1")
    predictor = Predictor(registry, clock=clock)

    first = predictor.predict("1", CONFIG, tasks("a sunny day", "so dark and cold"))
    [file] = tmp_path.rglob("m2.skops")
    file.write_bytes(file.read_bytes()[:-7])
    registry.promote("1", "m2")
    clock.pass_s(1)
    after = predictor.predict("1", CONFIG, tasks("a sunny day"))

    assert predicted_labels(first) == ["A", "B"]
    assert predicted_labels(after) == ["A"]
    assert after[0]["model_version"] == "m1"


def test_a_task_that_breaks_the_model_is_named_by_its_number_in_label_studio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    from ml_backend.calibration import Calibrator
    from ml_backend.label_config import read_label_config
    from ml_backend.models import recipe_for, text_classifier
    from ml_backend.registry import Bundle, FolderRegistry, pack

    control = read_label_config(CONFIG).control()
    recipe = recipe_for(control)
    data, labels = [{"text": text} for text in ("sunny warm day", "cold dark night")] * 10, ["A", "B"] * 10
    model = recipe.fit(data, labels, field="text", weights=None, seed=0)
    registry = FolderRegistry(tmp_path)
    registry.add("1", "m1", pack(Bundle(model, Calibrator(), control, "", recipe.name, "m1", 20, 0.0, {})), {})
    registry.promote("1", "m1")
    read_text = text_classifier.read_text

    def picky(item: Any, *args: Any, **options: Any) -> Any:
        if "poison" in str(item):
            raise KeyError("of all things")
        return read_text(item, *args, **options)

    monkeypatch.setattr(text_classifier, "read_text", picky)
    rows = [{"id": 70_000 + place, "data": {"text": text}} for place, text in enumerate(["a sunny day"] * 9)]
    rows[4]["data"] = {"text": "poison"}

    results = Predictor(registry).predict("1", CONFIG, rows)

    assert predicted_labels(results) == ["A"] * 4 + [None] + ["A"] * 4
    assert "1 left out: task 70004 (predict): KeyError" in caplog.text
