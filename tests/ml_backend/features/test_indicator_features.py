"""Indicators that reviewers recorded are read with the task data, in training and in serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from ml_backend.calibration import Calibrator
from ml_backend.features.indicator_features import IndicatorColumns, fit_indicator_columns
from ml_backend.label_config import Control
from ml_backend.models.text_classifier import TextChoices
from ml_backend.predictor import Predictor
from ml_backend.records import INDICATORS_KEY, Indicators, Task, with_indicators
from ml_backend.registry import Bundle, pack, recipe_with_indicators, unpack
from tests.support.serving import CONFIG, FakeBundle, FakeRegistry

CONTROL = Control("c", "text", "choices", ("ok", "fraud"), multiple=False, object_kind="text", field="text")
TEXTS = [f"please refund order number {number}" for number in range(40)]  # the text alone tells nothing
LABELS = ["fraud" if number % 2 else "ok" for number in range(40)]
INDICATORS_OF: list[Indicators] = [{"fraud_type": "card", "risk": 4.0} if number % 2 else {} for number in range(40)]
DATA = [with_indicators({"text": text}, known) for text, known in zip(TEXTS, INDICATORS_OF, strict=True)]


def bundle() -> Bundle:
    model = TextChoices().fit(DATA, LABELS, field="text")
    name = recipe_with_indicators(TextChoices.name, ["fraud_type", "risk"])
    return Bundle(model, Calibrator(), CONTROL, "hash", name, "m40", 40, 0.0, {})


def test_an_indicator_decides_where_the_text_has_no_information():
    fraud = bundle().classes.index("fraud")
    known, unknown, unseen = bundle().proba(
        [
            with_indicators({"text": "please refund order number 99"}, {"fraud_type": "card", "risk": 4.0}),
            {"text": "please refund order number 99"},
            with_indicators({"text": "please refund order number 99"}, {"fraud_type": "never seen", "colour": "red"}),
        ]
    )[:, fraud]

    assert known > 0.9 > 0.5 > unknown
    assert np.isfinite(unseen)


def test_a_model_without_indicators_is_the_one_that_there_was():
    plain = TextChoices().fit([{"text": text} for text in TEXTS], LABELS, field="text")
    given = TextChoices().fit([with_indicators({"text": text}, {}) for text in TEXTS], LABELS, field="text")

    assert plain.state()["coef_indicators"].shape == (0, 2)
    assert np.array_equal(plain.predict_proba(DATA), given.predict_proba(DATA))


def test_what_was_packed_reads_the_same_indicators_when_unpacked():
    artefact = pack(bundle())
    loaded = unpack(artefact.data, artefact.digest)

    assert loaded.indicators == ("fraud_type", "risk")
    assert np.array_equal(loaded.proba(DATA), bundle().proba(DATA))
    assert pack(loaded) == artefact


def test_an_artefact_of_before_there_were_indicators_still_loads():
    state = dict(TextChoices().fit([{"text": text} for text in TEXTS], LABELS, field="text").state())
    old = {name: value for name, value in state.items() if name not in ("columns", "coef_indicators")}

    assert TextChoices().load(old).predict_proba(DATA).shape == (40, 2)


def test_columns_do_not_depend_on_the_order_of_rows_and_stay_small():
    far = with_indicators({}, {"risk": 1e9})

    assert fit_indicator_columns(DATA) == fit_indicator_columns(DATA[::-1])
    assert IndicatorColumns.load(fit_indicator_columns(DATA).state()) == fit_indicator_columns(DATA)
    assert np.abs(fit_indicator_columns(DATA).matrix([*DATA, far])).max() <= 1.0


@pytest.mark.parametrize("value", [None, True, float("nan"), float("inf"), {"a": 1}, b"x"])
def test_a_value_that_is_no_indicator_is_as_if_it_were_not_known(value: Any):
    assert not fit_indicator_columns(DATA).matrix([{INDICATORS_KEY: {"risk": value, "fraud_type": value}}]).any()


class Recording(FakeBundle):
    """Remembers what it was asked with."""

    asked: list[Mapping[str, Any]] = []  # noqa: RUF012  # cleared by the test

    def predict(self, data: Sequence[Mapping[str, Any]], *, names: Sequence[object] | None = None) -> Any:
        self.asked.extend(data)
        return super().predict(data)


def serve(read_indicators: Any, *, reads: tuple[str, ...]) -> tuple[Predictor, list[str]]:
    counted: list[str] = []
    Recording.asked.clear()
    registry = FakeRegistry({"7": "m1"})
    predictor = Predictor(
        registry,  # type: ignore[arg-type]
        read_indicators=lambda _project: read_indicators,
        load=lambda _data, _digest: Recording("m1", indicators=reads),  # type: ignore[arg-type,return-value]
        count=lambda event, _many: counted.append(event),
    )
    return predictor, counted


def test_serving_reads_what_is_known_now_for_each_task():
    def read_indicators(tasks: Sequence[Task]) -> list[Indicators]:
        return [{"risk": float(task.id)} if task.data.get("customer") else {} for task in tasks]

    predictor, _ = serve(read_indicators, reads=("risk",))
    tasks = [{"id": 3, "data": {"text": "A", "customer": "c"}}, {"id": 4, "data": {"text": "B"}}]
    answers = predictor.predict("7", CONFIG, tasks)

    assert [answer["score"] for answer in answers] == [0.75, 0.75]
    assert Recording.asked == [{"text": "A", "customer": "c", INDICATORS_KEY: {"risk": 3.0}}, {"text": "B"}]


def test_a_model_that_learned_from_no_indicators_is_not_asked_for_them():
    def read_indicators(_tasks: Sequence[Task]) -> list[Indicators]:
        raise AssertionError("nobody needs it")

    predictor, counted = serve(read_indicators, reads=())
    (answer,) = predictor.predict("7", CONFIG, [{"id": 3, "data": {"text": "A", INDICATORS_KEY: {"risk": 9}}}])

    assert (answer["score"], counted.count("indicators_unavailable")) == (0.75, 0)
    assert Recording.asked == [{"text": "A"}]  # a task cannot bring its own


def test_serving_goes_on_without_what_cannot_be_read():
    def read_indicators(_tasks: Sequence[Task]) -> list[Indicators]:
        raise OSError("the database is down")

    predictor, counted = serve(read_indicators, reads=("risk",))
    (answer,) = predictor.predict("7", CONFIG, [{"id": 3, "data": {"text": "A"}}])

    assert answer["score"] == 0.75
    assert "indicators_unavailable" in counted
