"""On a real Label Studio: what a reviewer records of a customer speaks in the next prediction of that customer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feedback.policy import read_policy
from feedback.project.indicators import make_indicator_reader
from feedback.review.first_tier_questions import add_questions, list_missing_questions
from feedback.review.review_task_content import FACTS, REASON, VERDICT
from feedback.store import open_store
from ml_backend.calibration import Calibrator
from ml_backend.label_config import read_label_config
from ml_backend.models.text_classifier import TextChoices
from ml_backend.predictor import Predictor
from ml_backend.records import with_indicators
from ml_backend.registry import Bundle, pack, recipe_with_indicators
from tests.support.fake_platform import TEXT_CONFIG
from tests.support.label_studio import Site
from tests.support.real_platform import RealLabelStudio
from tests.support.review_world import ADA, CLEO, World

pytestmark = pytest.mark.e2e

POLICY = """
[[routing]]
id = "huge"
when = { data.text.contains = "huge" }
to = "L2"
[[routing]]
id = "rest"
to = "L1"
[tiers.L1]
[tiers.L2]
[feedback.fraud_type]
title = "Which fraud is it?"
options = ["card", "identity"]
feature = true
entity = "customer"
[queue]
window = 10
head = 2
[audit]
share = 0.0
[overlap]
share = 0.0
[train]
min_rows = 500
[second_look]
share = 0.0
"""


@pytest.fixture
def real_world(site: Site, tmp_path: Path) -> Iterator[World]:
    store = open_store(f"sqlite:///{tmp_path / 'hitl.sqlite3'}", durability="normal")
    store.secrets.save_secret("draws", "the same draws in every run")
    real = RealLabelStudio(site, store)
    yield World(store, tmp_path / "models", real, project=real.project)
    real.close()
    store.close()


def promote(world: World) -> None:
    """A model that learned: who committed card fraud before wants a tool, whatever the text says."""
    config = read_label_config(TEXT_CONFIG)
    known = [{"fraud_type": "card"} if number % 2 else {} for number in range(40)]
    data = [with_indicators({"text": f"huge refund number {number}"}, one) for number, one in enumerate(known)]
    model = TextChoices().fit(data, ["tool" if one else "fruit" for one in known], field="text")
    name = recipe_with_indicators(TextChoices.name, ["fraud_type"])
    made = Bundle(model, Calibrator(), config.control(), config.hash, name, "m40", 40, 0.0, {})
    world.store.registry.add(world.project, "m40", pack(made), {})
    world.store.registry.promote(world.project, "m40")


def test_an_indicator_of_a_reviewer_changes_what_is_predicted_of_the_customer_at_once(real_world: World) -> None:
    real_world.use(POLICY)
    promote(real_world)
    site = real_world.site
    assert isinstance(site, RealLabelStudio)
    huge, next_one, stranger = site.add_rows(
        {"text": "huge refund number 1", "customer": 7},
        {"text": "refund number 2", "customer": "7"},
        {"text": "refund number 3", "customer": 8},
    )
    policy = read_policy(POLICY)
    predictor = Predictor(
        real_world.store.registry, read_indicators=lambda one: make_indicator_reader(real_world.store, one, policy)
    )

    def predicted_label(task: int) -> str:
        (answer,) = predictor.predict(real_world.project, TEXT_CONFIG, [site.site.admin.task(task)])
        assert answer["model_version"] == "m40"
        return str(answer["result"][0]["value"]["choices"][0])

    real_world.turn()
    real_world.turn()
    assert [predicted_label(task) for task in (next_one, stranger)] == ["fruit", "fruit"]
    review_project = site.review_project_of("L2")
    (copy,) = site.waiting(review_project, CLEO)
    assert "refund" in copy.data[FACTS]["Reasons for the model's answer"] or "no part" in str(copy.data[FACTS])
    chosen = {"kind": "tool", VERDICT: "fix", REASON: "wrong_label", "hitl_ask_fraud_type": "card"}
    about = {name: "text" if name == "kind" else FACTS for name in chosen}
    site.client(CLEO).submit(copy.id, [_chose(name, about[name], label) for name, label in chosen.items()])
    real_world.turn()

    (indicator,) = real_world.store.indicators.list_indicators(real_world.project)
    assert (indicator.entity, indicator.value, indicator.task, indicator.person) == (
        "customer=7",
        "card",
        huge,
        site.number(CLEO),
    )
    assert [predicted_label(task) for task in (next_one, stranger, huge)] == ["tool", "fruit", "fruit"]
    real_world.turn()
    assert real_world.site.final(huge) == "tool"
    before = real_world.store.indicators.list_indicators(real_world.project)
    assert real_world.store.rebuild().ok
    real_world.turn()
    assert real_world.store.indicators.list_indicators(real_world.project) == before


def _chose(name: str, to_name: str, label: str) -> dict[str, Any]:
    return {"from_name": name, "to_name": to_name, "type": "choices", "value": {"choices": [label]}}


def test_the_first_tier_is_asked_once_its_questions_are_added_to_its_label_config(real_world: World) -> None:
    real_world.use(POLICY)
    site, policy = real_world.site, read_policy(POLICY)
    assert isinstance(site, RealLabelStudio)
    admin, config = site.site.admin, read_label_config(TEXT_CONFIG)
    (task,) = site.add_rows({"text": "refund number 2", "customer": 7})
    real_world.turn()
    admin.patch_project(real_world.project, label_config=add_questions(config, config.control(), policy))
    stored = read_label_config(str(admin.project(real_world.project)["label_config"]))
    chosen = {"kind": "tool", "fraud_type": "card"}
    site.client(ADA).submit(task, [_chose(name, "text", label) for name, label in chosen.items()])
    real_world.turn()
    real_world.turn()

    assert list_missing_questions(stored, policy) == []
    (indicator,) = real_world.store.indicators.list_indicators(real_world.project)
    assert (indicator.value, indicator.task, indicator.person) == ("card", task, site.number(ADA))
    assert [vote.answer.value for vote in real_world.store.votes.list_votes(real_world.project, control="kind")] == [
        ("tool",)
    ]
