"""Where models are made: a project's policy chooses their features, and images come from where the service may look."""

from __future__ import annotations

import pytest

from feedback.policy import read_policy
from feedback.training.model_factory import ModelFactory
from ml_backend.calibration import Calibrator
from ml_backend.features.media import Media
from ml_backend.label_config import read_label_config
from ml_backend.registry import Bundle, pack
from tests.support.small_tasks import images

CONFIG = read_label_config(
    '<View><Image name="i" value="$image"/><Choices name="shape" toName="i">'
    '<Choice value="bar"/><Choice value="cross"/><Choice value="dot"/></Choices></View>'
)


@pytest.mark.parametrize("features", ["default", "vision"])
def test_a_project_chooses_features_and_its_model_is_made_and_loaded_with_the_media_of_the_service(features: str):
    if features == "vision":
        pytest.importorskip("onnxruntime")
    data, labels = images(24)
    store = {f"/data/{place}.png": item["image"] for place, item in enumerate(data)}
    factory = ModelFactory(lambda: (), media=Media(fetch=lambda address: Media().read_bytes(store[address])))
    control, tasks = CONFIG.control(), [{"image": address} for address in store]

    recipe = factory.recipe(CONFIG, control, read_policy(f'[model]\nfeatures = "{features}"'))
    made = Bundle(recipe.fit(tasks, labels, field="image"), Calibrator(), control, "", recipe.name, "m1", 24, 0.0, {})
    packed = pack(made)

    assert recipe.name.startswith("image-choices+vision/" if features == "vision" else "image-choices/")
    assert (factory.load(packed.data, packed.digest).proba(tasks) == made.proba(tasks)).all()
