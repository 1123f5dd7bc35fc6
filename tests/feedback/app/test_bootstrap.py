"""The composition root: what is wrong with one project never stops the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from feedback.app.bootstrap import make_model_factory, opened_store, run_turn
from feedback.policy import Policy
from feedback.settings import Settings
from feedback.store import ProjectRow, open_store
from ml_backend.calibration import Calibrator
from ml_backend.label_config import read_label_config
from ml_backend.models import recipe_for
from ml_backend.registry import Bundle, pack
from tests.support.fake_platform import TEXT_CONFIG


def replace_sleep(monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], object]) -> None:
    """In this module alone: other threads of the tests, such as the one that prepares Label Studio, go on sleeping."""
    monkeypatch.setattr("feedback.app.bootstrap.time", SimpleNamespace(sleep=sleep, time=time.time))


def fitted() -> Bundle:
    config = read_label_config(TEXT_CONFIG)
    recipe = recipe_for(config.control())
    data = [{"text": text} for text in ("an apple", "a pear", "a saw", "a hammer")]
    model = recipe.fit(data, ["fruit", "fruit", "tool", "tool"], field="text")
    return Bundle(model, Calibrator(), config.control(), config.hash, recipe.name, "m4", 4, 0.0, {})


def test_a_model_loads_though_the_policy_of_another_project_cannot_be_read(tmp_path: Path):
    settings = Settings(data_dir=tmp_path)
    artefact = pack(fitted())
    with opened_store(settings) as store:
        store.projects.save_project(ProjectRow("1", "of a newer version", options={"policy": {"futures": 9}}))
        store.projects.save_project(ProjectRow("2", "fine", options={"policy": Policy().model_dump(mode="json")}))

        assert make_model_factory(settings, store).load(artefact.data, artefact.digest).version == "m4"


def test_a_turn_that_somebody_asks_for_by_hand_runs_though_the_last_ones_failed_too_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    now_s = [1000.0]
    store = open_store(f"sqlite:///{tmp_path / 'hitl.sqlite3'}", clock=lambda: now_s[0])
    store.projects.save_project(ProjectRow("1", "parked", TEXT_CONFIG))
    store.jobs.request_job("1", "turn")
    for _ in range(5):
        claim = store.jobs.claim_job("worker", lease_s=30.0, kinds=("turn",))
        assert claim is not None
        store.jobs.fail_job(claim, "poison")
        now_s[0] += 60.0
    assert [row.state for row in store.jobs.list_jobs()] == ["parked"]
    replace_sleep(monkeypatch, lambda _s: pytest.fail("it waits"))

    assert run_turn(Settings(data_dir=tmp_path), store, "1").project == "1"
    assert [row.state for row in store.jobs.list_jobs() if row.kind == "turn"] == ["idle"]
    store.close()


def test_a_turn_that_somebody_asks_for_by_hand_comes_though_a_worker_takes_the_first_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    slept: list[float] = []

    def worker_ends_its_turn_and_takes_ours(seconds: float) -> None:
        slept.append(seconds)
        assert len(slept) < 5, "it waits for ever"
        for claim in (*running, store.jobs.claim_job("worker", lease_s=30.0, kinds=("turn",))):
            if claim:
                store.jobs.finish_job(claim)
        running.clear()

    replace_sleep(monkeypatch, worker_ends_its_turn_and_takes_ours)
    with opened_store(Settings(data_dir=tmp_path)) as store:
        store.projects.save_project(ProjectRow("1", "busy", TEXT_CONFIG))
        store.jobs.request_job("1", "turn")
        running = [store.jobs.claim_job("worker", lease_s=30.0, kinds=("turn",))]

        assert run_turn(Settings(data_dir=tmp_path), store, "1").project == "1"
        assert len(slept) == 1
