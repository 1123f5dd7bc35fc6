"""Reviewers see the model's answer and its reasons; blind reviewers do not; a replay gives the same text."""

from __future__ import annotations

from typing import Any

import pytest

from feedback.reports.case_report import case_report
from feedback.review.review_task_content import FACTS
from feedback.routing.router import explain_decision
from ml_backend.calibration import Calibrator
from ml_backend.label_config import read_label_config
from ml_backend.models.text_classifier import TextChoices
from ml_backend.registry import Bundle, pack, unpack
from tests.support.fake_platform import TEXT_CONFIG
from tests.support.review_world import CLEO, DAN, PROJECT, World, policy_text

SPOKE = "Reasons for the model's answer"
TEXTS = [f"{fruit} juice {number}" for number in range(9) for fruit in ("apple", "pear")]
TOOLS = [f"{tool} box {number}" for number in range(9) for tool in ("hammer", "saw")]


class Silent:
    """A model that answers and gives no reasons, as hosted ones do."""

    classes = ("fruit", "tool")

    def predict_proba(self, data: Any) -> Any:
        import numpy as np

        return np.tile([0.9, 0.1], (len(data), 1))

    def vectors(self, data: Any) -> Any:
        import numpy as np

        return np.zeros((len(data), 1), np.float32)


def promote(world: World, version: str = "m36") -> Bundle:
    config = read_label_config(TEXT_CONFIG)
    data = [{"text": text} for text in (*TEXTS, *TOOLS)]
    labels = ["fruit"] * len(TEXTS) + ["tool"] * len(TOOLS)
    model = TextChoices().fit(data, labels, field="text")
    made = Bundle(model, Calibrator(), config.control(), config.hash, TextChoices.name, version, 36, 0.0, {})
    world.store.registry.add(PROJECT, version, pack(made), {})
    world.store.registry.promote(PROJECT, version)
    return made


def disagreed(world: World, **policy: Any) -> int:
    world.use(policy_text(**policy), overlap=2)
    promote(world)
    (task,) = world.site.add("apple juice in a box")
    world.turn()
    world.disagree(task)
    return task


def shown(world: World, tier: str, person: int) -> dict[str, str]:
    (copy,) = world.site.waiting(world.site.review_project_of(tier), person)
    return dict(copy.data[FACTS])


def test_a_reviewer_sees_what_spoke_for_the_models_answer(world: World):
    task = disagreed(world)
    facts = shown(world, "L2", CLEO)

    assert facts[SPOKE].startswith(("apple +", "juice +"))
    assert "box -" in facts[SPOKE]
    prediction = case_report(world.store, world.case(task).id).to_json()["case"]["prediction"]
    assert (prediction["answer"], prediction["model"]) == ("fruit", "m36")
    assert "apple +" in prediction["explanation"]


def test_who_reads_blind_sees_none_of_it_and_the_next_tier_does(world: World):
    task = disagreed(world, l2="blind = true")
    facts = shown(world, "L2", CLEO)
    assert SPOKE not in facts
    assert "apple" not in str(facts)

    world.review("L2", "escalate", person=CLEO, reason="guideline_gap")
    world.turn()
    assert world.case(task).tier == "L3"
    assert "apple +" in shown(world, "L3", DAN)[SPOKE]


def test_a_proposal_of_people_is_shown_next_to_the_answer_of_the_model(world: World):
    disagreed(world)
    world.review("L2", "fix", "tool", person=CLEO, reason="wrong_label")
    world.turn()
    world.use(policy_text(l2="protocol = 'panel'\npanel = 2"), overlap=2)
    (task,) = world.site.add("pear juice")
    world.turn()
    world.disagree(task)
    world.review("L2", "escalate", "tool", person=CLEO, reason="guideline_gap")
    world.review("L2", "escalate", "tool", person=DAN, reason="guideline_gap")
    world.turn()
    case = world.case(task)

    assert (case.tier, case.proposed_by) == ("L3", "L2")
    facts = shown(world, "L3", 5)
    assert facts["The model's answer"].startswith("fruit, ")
    assert "pear +" in facts[SPOKE]


def test_a_model_without_reasons_is_shown_as_one(world: World, monkeypatch: pytest.MonkeyPatch):
    made = promote(world)
    silent = Bundle(Silent(), made.calibrator, made.control, "h", "hosted", "m36", 1, 0.0, {})  # type: ignore[arg-type]
    monkeypatch.setattr(world.loop._services.champions, "get", lambda _project: silent)
    world.use(policy_text(), overlap=2)
    (task,) = world.site.add("apple")
    world.turn()
    world.disagree(task)

    assert shown(world, "L2", CLEO)[SPOKE] == "this model gives no reasons"


def test_without_a_model_no_prediction_is_shown(world: World):
    world.use(policy_text(), overlap=2)
    (task,) = world.site.add("apple")
    world.turn()
    world.disagree(task)

    assert SPOKE not in shown(world, "L2", CLEO)
    assert case_report(world.store, world.case(task).id).prediction == {}


def test_why_shows_the_reasons_of_the_model_at_the_time_of_the_decision(world: World):
    rest = '[[routing]]\nid = "rest"\nto = "L1"\n'
    rules = f'[[routing]]\nid = "sure"\nto = "L2"\nwhen = {{ model.confidence.gte = 0.5 }}\n{rest}'
    world.use(policy_text(more=rules))
    promote(world)
    (task,) = world.site.add("hammer box")
    world.turn()
    (decision,) = world.store.decisions.list_decisions(PROJECT, task=task)
    promote(world, "m37")

    received = explain_decision(world.store, PROJECT, decision, load=unpack)
    assert received.same
    assert received.prediction["model"] == "m36"
    assert sorted((what for what, _ in received.prediction["reasons"][:2]), reverse=True) == ["hammer", "box"]
    assert explain_decision(world.store, PROJECT, decision).prediction == {}
