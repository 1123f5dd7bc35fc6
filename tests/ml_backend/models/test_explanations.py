"""The reasons for an answer add up to its score; a model without reasons says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ml_backend.calibration import Calibrator
from ml_backend.features.image import SIZE, feature_quarters
from ml_backend.features.media import Media
from ml_backend.label_config import Control
from ml_backend.models.explanations import Contribution, strongest_contributions
from ml_backend.models.image_classifier import ImageChoices, ImageModel
from ml_backend.models.text_classifier import HypertextChoices, TextChoices, TextModel
from ml_backend.records import with_indicators
from ml_backend.registry import Bundle
from tests.support.hypothesis_profiles import examples

CONTROL = Control("c", "text", "choices", ("ham", "spam", "news"), multiple=False, object_kind="text", field="text")
SPAM = [f"win a free prize now number {number}" for number in range(12)]
HAM = [f"see you at lunch on day {number}, don't be late" for number in range(12)]
NEWS = [f"the minister said on day {number} that taxes rise" for number in range(12)]
TEXTS, LABELS = [*SPAM, *HAM, *NEWS], ["spam"] * 12 + ["ham"] * 12 + ["news"] * 12


def fit(recipe: TextChoices, texts: list[str]) -> TextModel:
    data = [
        with_indicators({"text": text}, {"fraud": "card"} if label == "spam" else {})
        for text, label in zip(texts, LABELS, strict=True)
    ]
    return recipe.fit(data, LABELS, field="text")


MODEL = fit(TextChoices(), TEXTS)


def odds(model: TextModel | ImageModel, item: dict[str, object], part: str, two: str) -> float:
    row = np.log(model.predict_proba([item])[0])
    return float(row[model.classes.index(part)] - row[model.classes.index(two)])


def start(model: TextModel | ImageModel, part: str, two: str) -> float:
    intercept = model.state()["intercept"]
    return float(intercept[model.classes.index(part)] - intercept[model.classes.index(two)])


@settings(max_examples=examples(60), deadline=None)
@given(
    st.one_of(
        st.sampled_from(TEXTS), st.text(max_size=60), st.lists(st.sampled_from(" ".join(TEXTS).split())).map(" ".join)
    )
)
def test_the_words_of_a_text_add_up_to_its_log_odds(text: str):
    item = dict(with_indicators({"text": text}, {"fraud": "card"}))
    contributions = MODEL.explain(item, "spam", "ham")
    if np.isnan(MODEL.predict_proba([item])).any():
        assert contributions == []
        return

    total = sum(part.weight for part in contributions) + start(MODEL, "spam", "ham")
    assert total == pytest.approx(odds(MODEL, item, "spam", "ham"), abs=2e-3)


def test_the_words_that_people_would_name_come_first():
    item = {"text": "You win a free PRIZE, see lunch"}
    contributions = {part.what: part.weight for part in strongest_contributions(MODEL.explain(item, "spam", "ham"))}

    assert contributions["prize"] > 0.1
    assert contributions["lunch"] < -0.1
    assert all(part.what == part.what.lower() for part in MODEL.explain(item, "spam", "ham"))


def test_tags_are_no_words():
    model = fit(HypertextChoices(), [f"<p class='prize'>{text}</p>" for text in TEXTS])

    assert {part.what for part in model.explain({"text": "<b>free</b> lunch"}, "spam", "ham")} == {"free", "lunch"}


def test_a_text_without_spaces_is_explained_by_its_characters():
    contributions = MODEL.explain({"text": "今日は無料です"}, "spam", "ham")

    assert {part.what for part in contributions} == set("今日は無料です")


def test_indicators_are_named_in_the_explanation():
    contributions = MODEL.explain(with_indicators({"text": "on day 3"}, {"fraud": "card"}), "spam", "ham")

    assert {part.what: part.weight > 0 for part in contributions}["fraud = card"]


def image(path: Path, corner: tuple[int, int], seed: int) -> str:
    """A grey image with one white quarter."""
    pixels = np.random.default_rng(seed).integers(90, 110, (32, 32, 3)).astype(np.uint8)
    row, column = corner[0] * 16, corner[1] * 16
    pixels[row : row + 16, column : column + 16] = 255
    Image.fromarray(pixels).save(path)
    import base64

    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def test_the_quarters_of_an_image_add_up_and_the_one_that_differs_speaks_loudest(tmp_path: Path):
    made = [image(tmp_path / f"{number}.png", (0, number % 2), number) for number in range(24)]
    labels = ["right" if number % 2 else "left" for number in range(24)]
    model = ImageChoices(media=Media()).fit([{"image": part} for part in made], labels, field="image")
    contributions = {part.what: part.weight for part in model.explain({"image": made[0]}, "left", "right")}

    assert sum(contributions.values()) + start(model, "left", "right") == pytest.approx(
        odds(model, {"image": made[0]}, "left", "right"), abs=1e-3
    )
    upper = contributions["the upper left"] + contributions["the upper right"]
    assert upper > abs(contributions["the lower left"]) + abs(contributions["the lower right"])
    assert model.explain({"image": "nothing"}, "left", "right") == []


def test_every_feature_of_an_image_looks_at_one_quarter_of_it():
    assert feature_quarters().shape == (SIZE,)
    assert np.bincount(feature_quarters()).min() > SIZE // 5


def bundle(model: object) -> Bundle:
    return Bundle(model, Calibrator(), CONTROL, "h", "text-choices/2", "m1", 1, 0.0, {})  # type: ignore[arg-type]


def test_a_bundle_explains_its_answer_against_the_next_best():
    made = bundle(MODEL)
    item = {"text": "a free prize at lunch"}
    row = made.proba([item])[0]
    first, second = (made.classes[place] for place in np.argsort(-row)[:2])

    assert made.explain(item, row) == MODEL.explain(item, first, second)
    assert made.explain({"text": None}, made.proba([{"text": None}])[0]) == []


class Silent:
    """A model that answers, and does not say why."""

    classes = CONTROL.labels

    def predict_proba(self, data: list[dict[str, str]]) -> np.ndarray:
        return np.tile([0.5, 0.3, 0.2], (len(data), 1))


def test_a_model_that_gives_no_reasons_is_not_asked_for_any():
    made = bundle(Silent())

    assert made.explain({"text": "a"}, made.proba([{"text": "a"}])[0]) is None


def test_only_strong_contributions_are_listed():
    contributions = strongest_contributions([Contribution(f"w{place}", place / 10) for place in range(-9, 10)], most=3)

    assert [part.what for part in contributions] == ["w9", "w-9", "w-8"]


def test_what_spoke_for_an_answer_leads_also_where_more_spoke_against_it():
    parts = [Contribution("prize", 0.1), *(Contribution(f"no {place}", -1.0 - place) for place in range(9))]

    assert [part.what for part in strongest_contributions(parts)] == ["prize", "no 8", "no 7", "no 6", "no 5", "no 4"]
