import os
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from ml_backend.errors import NotTrained, UnknownName
from ml_backend.features.cache import FeatureCache
from ml_backend.features.media import Media
from ml_backend.label_config import Control
from ml_backend.models import get_recipe, recipe_for
from ml_backend.models.image_classifier import ImageChoices
from ml_backend.models.logistic_regression import fit_logistic, softmax
from ml_backend.models.text_classifier import HypertextChoices, TextChoices
from ml_backend.testing import ContractBroken, check_archived, check_recipe
from tests.support.small_tasks import IMAGE, TEXT, data_uri, images, texts

HYPERTEXT = replace(TEXT, object_kind="hypertext")
CASES = [
    pytest.param(TextChoices, TEXT, texts, id="text"),
    pytest.param(HypertextChoices, HYPERTEXT, texts, id="hypertext"),
    pytest.param(ImageChoices, IMAGE, images, id="image"),
]


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize(("made", "control", "rows"), CASES)
def test_every_built_in_recipe_keeps_the_contract(made, control, rows, cached):
    check_recipe(made(cache=FeatureCache() if cached else None), *rows(), control=control)


@pytest.mark.parametrize(("made", "control", "rows"), CASES)
def test_every_built_in_recipe_comes_back_from_an_artefact(made, control, rows):
    check_archived(made(), *rows(), control=control)


@pytest.mark.parametrize(("made", "control", "rows"), CASES)
def test_every_built_in_recipe_is_found_for_its_control(made, control, rows):
    assert isinstance(recipe_for(control), made)
    assert isinstance(get_recipe(made.name), made)


def test_the_contract_notices_classes_named_by_position():
    class ByPosition(TextChoices):
        """The mistake of many examples: the config's labels stand for the classes, whatever was seen."""

        def fit(self, data, labels, **options):
            model = super().fit(data, labels, **options)
            model.classes = TEXT.labels[: len(model.classes)]
            return model

    with pytest.raises(ContractBroken):
        check_recipe(ByPosition(), *texts(), control=TEXT)


def test_what_nothing_can_learn_is_refused_with_a_sentence():
    with pytest.raises(UnknownName, match="several labels at once"):
        recipe_for(replace(TEXT, multiple=True))
    with pytest.raises(UnknownName, match="no data field"):
        recipe_for(replace(TEXT, field=""))
    with pytest.raises(UnknownName, match="no installed recipe learns choices on audio"):
        recipe_for(replace(TEXT, object_kind="audio"))
    with pytest.raises(UnknownName, match="this release has"):
        get_recipe("text-choices/0")


def test_a_label_without_an_example_shifts_no_name():
    data = [{"text": "yellow and bent"}, {"text": "red and round"}] * 10
    control = Control("fruit", "text", "choices", ("Apple", "Banana", "Cherry"), False, "text", "text")

    model = recipe_for(control).fit(data, ["Banana", "Cherry"] * 10, field="text")

    assert model.classes == ("Banana", "Cherry")
    proba = model.predict_proba([{"text": "a yellow one, bent"}, {"text": "a red round one"}])
    assert [model.classes[best] for best in proba.argmax(axis=1)] == ["Banana", "Cherry"]


def test_two_projects_side_by_side_do_not_mix():
    cache = FeatureCache()
    fruit = TextChoices(cache=cache).fit([{"t": "red"}, {"t": "blue"}] * 6, ["Apple", "Plum"] * 6, field="t")
    animals = TextChoices(cache=cache).fit([{"u": "red"}, {"u": "blue"}] * 6, ["Fox", "Bird"] * 6, field="u")

    both = [{"t": "red", "u": "blue"}]

    assert fruit.classes[fruit.predict_proba(both).argmax()] == "Apple"
    assert animals.classes[animals.predict_proba(both).argmax()] == "Bird"


def test_a_weight_counts_a_row_that_many_times():
    data = [{"text": "word"}] * 2 + [{"text": "word"}, {"text": "other"}] * 5
    labels = ["a", "b"] + ["a", "b"] * 5
    to_a = TextChoices().fit(data, labels, field="text", weights=np.array([50.0, 0.1] + [1.0] * 10))
    to_b = TextChoices().fit(data, labels, field="text", weights=np.array([0.1, 50.0] + [1.0] * 10))

    asked = [{"text": "word"}]

    # half of what is said of the word is b now; classes weigh the same, so that it is not more than half
    assert to_a.predict_proba(asked)[0, 0] > 0.9
    assert to_b.predict_proba(asked)[0, 0] < 0.6


def test_unreadable_rows_are_left_out_of_a_training_with_their_weights():
    data, labels = texts(30)
    holes = [*data, {}, {"text": None}]

    model = TextChoices().fit(holes, [*labels, "ghost", "ghost"], field="text", weights=np.ones(32))

    assert "ghost" not in model.classes
    np.testing.assert_array_equal(
        model.predict_proba(data), TextChoices().fit(data, labels, field="text").predict_proba(data)
    )


def test_the_vocabulary_comes_from_the_training_rows_alone():
    data, labels = texts(30)
    cache = FeatureCache()
    TextChoices(cache=cache).vectors([{"text": "leaked words from the audit"}], field="text")

    model = TextChoices(cache=cache).fit(data, labels, field="text")

    seen = TextChoices().fit(data, labels, field="text")
    np.testing.assert_array_equal(model.state()["codes"], seen.state()["codes"])
    np.testing.assert_array_equal(model.state()["idf"], seen.state()["idf"])


def test_a_text_of_unknown_words_still_gets_an_honest_row():
    data, labels = texts()
    model = TextChoices().fit(data, labels, field="text")

    proba = model.predict_proba([{"text": "qqqq zzzz"}, {"text": "🙂"}, {"text": "\u200b"}])

    assert np.isfinite(proba).all()
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)


@pytest.mark.slow
def test_many_terms_and_classes_stay_within_the_budget_of_weights():
    words = [f"w{place:04d}" for place in range(3000)]
    data = [{"text": " ".join(words[start : start + 30])} for start in range(0, 3000, 3)]
    labels = [f"c{place % 200:03d}" for place in range(1000)]

    model = TextChoices().fit(data, labels, field="text")

    assert len(model.state()["codes"]) <= 10_000
    assert len(model.classes) == 200


def test_our_probabilities_are_those_of_scikit_learn():
    draw = np.random.default_rng(0)
    X = draw.normal(size=(90, 5))
    for k in (2, 3):
        y = [f"c{place}" for place in (X[:, 0] * 2 + draw.normal(size=90)).argsort().argsort() * k // 90]
        theirs = LogisticRegression(C=5.0, class_weight="balanced", max_iter=300).fit(X, y)

        classes, coef, intercept = fit_logistic(X, y, weights=None, seed=0)

        assert list(classes) == list(theirs.classes_)
        np.testing.assert_allclose(softmax(X @ coef + intercept), theirs.predict_proba(X), atol=1e-4)


def test_one_class_is_not_enough():
    with pytest.raises(NotTrained, match="1 class"):
        fit_logistic(np.ones((3, 2)), ["a"] * 3, weights=None, seed=0)


def test_handwritten_digits_are_learned_in_a_blink_and_read_well():
    digits = load_digits()
    data = [{"image": data_uri((image * 15.9).astype(np.uint8))} for image in digits.images]
    labels = [str(label) for label in digits.target]
    order = np.random.default_rng(0).permutation(len(data))
    train, test = order[:800], order[800:]

    model = ImageChoices().fit([data[place] for place in train], [labels[place] for place in train], field="image")

    proba = model.predict_proba([data[place] for place in test])
    predicted = [model.classes[best] for best in proba.argmax(axis=1)]
    assert np.mean([name == labels[place] for name, place in zip(predicted, test, strict=True)]) >= 0.97


def test_a_media_that_fetches_lets_addresses_be_read():
    data, labels = images(30)
    store = {f"/data/upload/{place}.png": item["image"] for place, item in enumerate(data)}
    media = Media(fetch=lambda address: Media().read_bytes(store[address]))
    addressed = [{"image": address} for address in store]

    model = ImageChoices(media=media).fit(addressed, labels, field="image")

    np.testing.assert_allclose(model.predict_proba(addressed), model.predict_proba(data), atol=1e-6)
    with pytest.raises(NotTrained, match="can be opened"):
        ImageChoices().fit(addressed, labels, field="image")


def fastest(act, times=30):
    """The least of many runs: what it costs when nobody else wants the machine."""
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        act()
        spent.append(time.perf_counter() - start)
    return min(spent)


@pytest.mark.timed
def test_one_short_text_costs_well_under_a_millisecond_and_a_hundred_a_few():
    data, labels = texts(300)
    fresh, _ = texts(100, seed=1)
    model = TextChoices().fit(data, labels, field="text")

    assert fastest(lambda: model.predict_proba(fresh[:1])) < 0.5e-3
    assert fastest(lambda: model.predict_proba(fresh)) < 5e-3


@pytest.mark.parametrize("text", ["a" * 20_000, "x1!" * 7_000, "日本語" * 7_000, "<" * 20_000, "\u0301" * 20_000])
def test_no_text_stalls_a_request(text):
    data, labels = texts(30)
    model = HypertextChoices().fit(data, labels, field="text")

    assert fastest(lambda: model.predict_proba([{"text": text}]), times=3) < 0.25


@pytest.mark.slow
def test_neither_threads_nor_hash_seeds_change_a_model():
    code = """
from tests.support.small_tasks import IMAGE, TEXT, images, texts
from ml_backend.calibration import Calibrator
from ml_backend.models import recipe_for
from ml_backend.registry import Bundle, pack
for control, (data, labels) in ((TEXT, texts(300)), (IMAGE, images(300))):
    recipe = recipe_for(control)
    model = recipe.fit(data, labels, field=control.field)
    print(pack(Bundle(model, Calibrator(), control, "", recipe.name, "m1", 1, 0.0, {})).digest)
"""
    seen = set()
    for threads in ("1", "2"):
        setting = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=os.environ | setting, capture_output=True, text=True, check=True)
        seen.add(done.stdout)

    assert len(seen) == 1
