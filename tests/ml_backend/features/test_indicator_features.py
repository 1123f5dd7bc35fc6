"""What reviewers recorded about a customer is read beside the task's own data, in training and in serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from ml_backend.calibration import Scaler
from ml_backend.features.indicator_features import Columns, columns_of
from ml_backend.label_config import Control
from ml_backend.models.text_classifier import TextChoices
from ml_backend.predictor import Predictor
from ml_backend.records import KNOWN, Known, Task, with_known
from ml_backend.registry import Bundle, pack, recipe_beside, unpack
from tests.support.serving import CONFIG, FakeBundle, FakeRegistry

CONTROL = Control("c", "text", "choices", ("ok", "fraud"), multiple=False, object_kind="text", field="text")
TEXTS = [f"please refund order number {number}" for number in range(40)]  # the text alone tells nothing
LABELS = ["fraud" if number % 2 else "ok" for number in range(40)]
KNOWN_OF: list[Known] = [{"fraud_type": "card", "risk": 4.0} if number % 2 else {} for number in range(40)]
DATA = [with_known({"text": text}, known) for text, known in zip(TEXTS, KNOWN_OF, strict=True)]


def bundle() -> Bundle:
    model = TextChoices().fit(DATA, LABELS, field="text")
    name = recipe_beside(TextChoices.name, ["fraud_type", "risk"])
    return Bundle(model, Scaler.identity(), CONTROL, "hash", name, "m40", 40, 0.0, {})


def test_an_indicator_decides_where_the_text_tells_nothing():
    fraud = bundle().classes.index("fraud")
    known, unknown, unseen = bundle().proba(
        [
            with_known({"text": "please refund order number 99"}, {"fraud_type": "card", "risk": 4.0}),
            {"text": "please refund order number 99"},
            with_known({"text": "please refund order number 99"}, {"fraud_type": "never seen", "colour": "red"}),
        ]
    )[:, fraud]

    assert known > 0.9 > 0.5 > unknown
    assert np.isfinite(unseen)


def test_a_model_without_indicators_is_the_one_that_there_was():
    plain = TextChoices().fit([{"text": text} for text in TEXTS], LABELS, field="text")
    given = TextChoices().fit([with_known({"text": text}, {}) for text in TEXTS], LABELS, field="text")

    assert plain.state()["coef_known"].shape == (0, 2)
    assert np.array_equal(plain.predict_proba(DATA), given.predict_proba(DATA))


def test_what_was_packed_reads_the_same_indicators_when_unpacked():
    artefact = pack(bundle())
    loaded = unpack(artefact.data, artefact.digest)

    assert loaded.beside == ("fraud_type", "risk")
    assert np.array_equal(loaded.proba(DATA), bundle().proba(DATA))
    assert pack(loaded) == artefact


def test_an_artefact_of_before_there_were_indicators_still_loads():
    state = dict(TextChoices().fit([{"text": text} for text in TEXTS], LABELS, field="text").state())
    old = {name: value for name, value in state.items() if name not in ("columns", "coef_known")}

    assert TextChoices().load(old).predict_proba(DATA).shape == (40, 2)


def test_columns_do_not_depend_on_the_order_of_rows_and_stay_small():
    far = with_known({}, {"risk": 1e9})

    assert columns_of(DATA) == columns_of(DATA[::-1])
    assert Columns.load(columns_of(DATA).state()) == columns_of(DATA)
    assert np.abs(columns_of(DATA).matrix([*DATA, far])).max() <= 1.0


@pytest.mark.parametrize("value", [None, True, float("nan"), float("inf"), {"a": 1}, b"x"])
def test_a_value_that_is_no_indicator_is_as_if_it_were_not_known(value: Any):
    assert not columns_of(DATA).matrix([{KNOWN: {"risk": value, "fraud_type": value}}]).any()


class Recording(FakeBundle):
    """Remembers what it was asked with."""

    asked: list[Mapping[str, Any]] = []  # noqa: RUF012  # cleared by the test

    def predict(self, data: Sequence[Mapping[str, Any]]) -> Any:
        self.asked.extend(data)
        return super().predict(data)


def serve(beside: Any, *, reads: tuple[str, ...]) -> tuple[Predictor, list[str]]:
    counted: list[str] = []
    Recording.asked.clear()
    registry = FakeRegistry({"7": "m1"})
    predictor = Predictor(
        registry,  # type: ignore[arg-type]
        beside=lambda _project: beside,
        load=lambda _data, _digest: Recording("m1", beside=reads),  # type: ignore[arg-type,return-value]
        count=lambda event, _many: counted.append(event),
    )
    return predictor, counted


def test_serving_reads_what_is_known_now_for_each_task():
    def beside(tasks: Sequence[Task]) -> list[Known]:
        return [{"risk": float(task.id)} if task.data.get("customer") else {} for task in tasks]

    predictor, _ = serve(beside, reads=("risk",))
    tasks = [{"id": 3, "data": {"text": "A", "customer": "c"}}, {"id": 4, "data": {"text": "B"}}]
    answers = predictor.predict("7", CONFIG, tasks)

    assert [one["score"] for one in answers] == [0.75, 0.75]
    assert Recording.asked == [{"text": "A", "customer": "c", KNOWN: {"risk": 3.0}}, {"text": "B"}]


def test_a_model_that_learned_from_no_indicators_is_not_asked_for_them():
    def beside(_tasks: Sequence[Task]) -> list[Known]:
        raise AssertionError("nobody needs it")

    predictor, counted = serve(beside, reads=())
    (answer,) = predictor.predict("7", CONFIG, [{"id": 3, "data": {"text": "A", KNOWN: {"risk": 9}}}])

    assert (answer["score"], counted.count("beside_unknown")) == (0.75, 0)
    assert Recording.asked == [{"text": "A"}]  # a task cannot bring its own


def test_serving_goes_on_without_what_cannot_be_read():
    def beside(_tasks: Sequence[Task]) -> list[Known]:
        raise OSError("the database is down")

    predictor, counted = serve(beside, reads=("risk",))
    (answer,) = predictor.predict("7", CONFIG, [{"id": 3, "data": {"text": "A"}}])

    assert answer["score"] == 0.75
    assert counted[-1] == "beside_unknown"
