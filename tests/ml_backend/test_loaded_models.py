"""The predictor swaps champions whole, and survives whatever a registry does."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ml_backend.predictor import NO_MODEL_VERSION, Predictor
from tests.support.serving import CONFIG, FakeClock, FakeRegistry, make, predicted_labels, tasks


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


def test_a_process_that_starts_beside_a_damaged_champion_serves_the_one_before():
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
        bundle = Bundle(model, Calibrator.identity(), control, "", recipe.name, version, 20, 0.0, {})
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
