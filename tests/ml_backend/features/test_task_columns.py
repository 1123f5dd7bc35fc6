"""Fields of a task and indicators of reviewers are read beside its text, in training and in serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from ml_backend.calibration import Calibrator
from ml_backend.features.task_columns import FieldRule, TaskColumns, fit_columns
from ml_backend.label_config import Control
from ml_backend.models.text_classifier import TextChoices
from ml_backend.predictor import Predictor
from ml_backend.records import INDICATORS_KEY, Indicators, Task, with_indicators
from ml_backend.registry import Bundle, pack, recipe_with_indicators, unpack
from tests.support.serving import CONFIG, FakeBundle, FakeRegistry
from tests.support.small_tasks import TEXT, texts

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


def test_columns_do_not_depend_on_the_order_of_rows_and_stay_small():
    far = with_indicators({}, {"risk": 1e9})

    assert fit_columns(DATA) == fit_columns(DATA[::-1])
    assert TaskColumns.load(fit_columns(DATA).state()) == fit_columns(DATA)
    assert np.abs(fit_columns(DATA).matrix([*DATA, far])).max() <= 1.0


@pytest.mark.parametrize("value", [None, True, float("nan"), float("inf"), {"a": 1}, b"x"])
def test_a_value_that_is_no_indicator_is_as_if_it_were_not_known(value: Any):
    assert not fit_columns(DATA).matrix([{INDICATORS_KEY: {"risk": value, "fraud_type": value}}]).any()


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


def refunds(n: int, seed: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Requests whose words say little: a rule on amount, standing and exceptions decides."""
    draw, rows, labels = np.random.default_rng(seed), list[dict[str, Any]](), list[str]()
    for number in range(n):
        amount, standing = round(float(draw.lognormal(4.0, 1.0)), 2), ["good", "new", "warned"][draw.integers(3)]
        exceptions = [name for name in ("broken", "late", "legal") if draw.random() < 0.25]
        may_refund = amount <= 60 or standing == "good"
        label = "escalate" if amount > 250 or "legal" in exceptions else "refund" if may_refund else "ask"
        text = " ".join(
            draw.choice(
                ["please", "refund", "my", "order", "it", "came", "and", "i", "want", "the", "money", "back", "thanks"],
                8,
            )
        )
        order = {"amount": f"{amount:,.2f}", "standing": standing, "exceptions": exceptions, "order_id": number}
        rows.append({"text": text, "order": order})
        labels.append(label)
    return rows, labels


def accuracy(model: Any, data: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> float:
    best = model.predict_proba(data).argmax(axis=1)
    return float(np.mean([model.classes[at] == label for at, label in zip(best, labels, strict=True)]))


def test_a_rule_on_three_fields_is_learned_where_the_text_says_little():
    (data, labels), (test, truth) = refunds(400, seed=1), refunds(600, seed=2)
    text_alone = TextChoices(rule=FieldRule(only=())).fit(data, labels, field="text")

    model = TextChoices().fit(data, labels, field="text")

    assert accuracy(text_alone, test, truth) < 0.45
    assert accuracy(model, test, truth) > 0.9
    assert model.card["fields"] == ["order.amount", "order.exceptions", "order.standing"]
    assert model.card["fields_left_out"] == {"order.order_id": "an identifier, by its name"}
    hard = {"text": "please", "order": {"amount": "9,500.00", "standing": "good", "exceptions": ["legal"]}}
    parts = {part.what for part in model.explain(hard, "escalate", "refund") if part.weight > 0.5}
    assert {"order.amount", "order.exceptions = legal"} <= parts


def test_random_fields_hardly_hurt():
    draw, change = np.random.default_rng(0), list[float]()
    for seed in range(4):
        data, labels = texts(400, seed=seed)
        labels = [label if draw.random() > 0.15 else TEXT.labels[draw.integers(3)] for label in labels]
        noise = [
            {f"n{at}": draw.normal() for at in range(15)} | {f"c{at}": f"{draw.integers(6)}x" for at in range(15)}
            for _ in data
        ]
        noisy = [{**row, **more} for row, more in zip(data, noise, strict=True)]
        plain, model = (TextChoices().fit(rows[:100], labels[:100], field="text") for rows in (data, noisy))
        change.append(accuracy(model, noisy[100:], labels[100:]) - accuracy(plain, data[100:], labels[100:]))

    assert np.mean(change) > -0.02


def test_the_policy_names_the_fields_that_are_read_and_those_that_never_are():
    data, labels = refunds(120, seed=3)
    named = TextChoices(rule=FieldRule(only=("amount", "order_id"))).fit(data, labels, field="text")
    without = TextChoices(rule=FieldRule(without=("standing", "order.exceptions"))).fit(data, labels, field="text")
    changed = [{**row, "order": {**row["order"], "standing": "bad", "exceptions": ["x"]}} for row in data]

    assert named.card["fields"] == ["order.amount", "order.order_id"]
    assert without.card["fields"] == ["order.amount"]
    assert without.card["fields_left_out"]["order.standing"] == "the policy leaves it out"
    assert np.array_equal(without.predict_proba(changed), without.predict_proba(data))


def test_other_fields_in_the_policy_are_another_recipe_and_its_models_come_back():
    recipe = TextChoices(rule=FieldRule(without=("gender",)))
    assert recipe.name.startswith(f"{TextChoices.name} (fields ")
    assert recipe.name != TextChoices(rule=FieldRule(without=("age",))).name
    assert TextChoices(rule=FieldRule(texts=(("title", False),))).name == TextChoices.name

    name = recipe_with_indicators(recipe.name, ["risk"])
    made = Bundle(recipe.fit(DATA, LABELS, field="text"), Calibrator(), CONTROL, "h", name, "m1", 40, 0.0, {})
    artefact = pack(made)

    assert unpack(artefact.data, artefact.digest).indicators == ("risk",)


def test_further_texts_that_people_see_join_the_text():
    data = [{"text": "hello", "title": "<b>refund</b>" if at % 2 else "<b>login</b>"} for at in range(40)]
    labels = ["refund" if at % 2 else "login" for at in range(40)]
    recipe = TextChoices(rule=FieldRule(texts=(("text", False), ("title", True))))
    model = recipe.fit(data, labels, field="text")

    assert accuracy(recipe.load(model.state()), data, labels) == 1.0
    assert np.array_equal(model.vectors(data), recipe.vectors(data, field="text"))
    assert model.card["fields"] == ["title"]
    assert np.isnan(model.predict_proba([{"title": "refund"}])).all()  # what the control is about is missing
