"""The policy's questions in the first tier: `explain` says where they are asked, and a team may add them there."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from feedback.policy import read_policy
from feedback.policy.explain import explain_policy
from feedback.review.first_tier_questions import add_questions, list_missing_questions
from feedback.review.review_answers import answer_to_question
from ml_backend.label_config import read_label_config
from tests.support.fake_platform import TEXT_CONFIG

QUESTIONS = """
[tiers.L1]
[tiers.L2]
[feedback.fraud]
options = ["card", "$100"]
required = true
[feedback.sure]
kind = "rating"
[feedback.amount]
kind = "number"
[feedback.words]
kind = "text"
"""


def test_the_missing_questions_are_added_with_their_own_names():
    policy, config = read_policy(QUESTIONS), read_label_config(TEXT_CONFIG)

    added = read_label_config(add_questions(config, config.control(), policy))

    assert list_missing_questions(config, policy) == ["fraud", "sure", "amount", "words"]
    assert list_missing_questions(added, policy) == []
    assert {control.name: control.kind for control in added.controls} == {
        "kind": "choices", "fraud": "choices", "sure": "rating", "amount": "number", "words": "textarea",
    }  # fmt: skip
    assert {control.to_name for control in added.controls} == {"text"}
    assert added.control() == config.control()  # models go on with it
    assert add_questions(added, added.control(), policy) == add_questions(added, added.control(), read_policy(""))
    fraud = next(element for element in ET.fromstring(added.xml).iter() if element.get("name") == "fraud")  # noqa: S314
    assert (fraud.get("required"), [option.get("alias") for option in fraud]) == ("true", [None, "$100"])
    region = {"from_name": "fraud", "type": "choices", "value": {"choices": ["card"]}}
    assert answer_to_question("fraud", [region]) == ["card"]


@pytest.mark.parametrize(
    ("tiers", "controls", "said"),
    [
        ("[tiers.L1]\n[tiers.L2]\n", {"kind"}, "It is asked in L2; it is not asked in L1, whose label config has no"),
        (
            "[tiers.L1]\n[tiers.L2]\n",
            {"kind", "fraud"},
            "It is asked in L2; in L1 the control fraud of the label config",
        ),
        ("[tiers.L1]\n[tiers.L2]\n", None, "It is asked in L2; in L1 only where the project's label config has a"),
        ("[tiers.L1]\n", {"kind"}, "No tier has reviewers; it is not asked in L1"),
    ],
)
def test_explain_says_in_which_tiers_a_question_is_asked(tiers: str, controls: set[str] | None, said: str):
    policy = read_policy(f'{tiers}[feedback.fraud]\noptions = ["a", "b"]\n')

    (sentence,) = [line for line in explain_policy(policy, controls) if said in line]

    assert ("--add-questions" in sentence) == (controls != {"kind", "fraud"})
