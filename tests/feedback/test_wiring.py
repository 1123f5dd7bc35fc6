"""The composition root: what is wrong with one project never stops the others."""

from __future__ import annotations

from pathlib import Path

from feedback.policy import Policy
from feedback.settings import Settings
from feedback.store import ProjectRow
from feedback.wiring import opened, workshop_of
from ml_backend.calibration import Scaler
from ml_backend.label_config import read_label_config
from ml_backend.models import recipe_for
from ml_backend.registry import Bundle, pack
from tests.support.fake_platform import TEXT_CONFIG


def fitted() -> Bundle:
    config = read_label_config(TEXT_CONFIG)
    recipe = recipe_for(config.control())
    data = [{"text": text} for text in ("an apple", "a pear", "a saw", "a hammer")]
    model = recipe.fit(data, ["fruit", "fruit", "tool", "tool"], field="text")
    return Bundle(model, Scaler.identity(), config.control(), config.hash, recipe.name, "m4", 4, 0.0, {})


def test_a_model_loads_though_the_policy_of_another_project_cannot_be_read(tmp_path: Path):
    settings = Settings(data_dir=tmp_path)
    artefact = pack(fitted())
    with opened(settings) as store:
        store.save_project(ProjectRow("1", "of a newer version", options={"policy": {"futures": 9}}))
        store.save_project(ProjectRow("2", "fine", options={"policy": Policy().model_dump(mode="json")}))

        assert workshop_of(settings, store).load(artefact.data, artefact.digest).version == "m4"
