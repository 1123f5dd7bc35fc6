"""What the rules do while no model exists is said where it is not what somebody wants: nobody is asked."""

from __future__ import annotations

import pytest

from feedback.policy import read_policy
from feedback.project.policy_validation import lint_policy

AUTO_RULES = """
[[routing]]
id = "{first}"
when = {{ {when} }}
to = "{to}"
[[routing]]
id = "default"
to = "L1"
[tiers.L1]
[tiers.L2]
"""


@pytest.mark.parametrize(
    ("when", "to", "key", "sentence"),
    [
        ("model.confidence.gte = 0.97", "auto", "default", "every task goes to people: rule default to L1."),
        ("all = [{ model.margin.gt = 0.5 }, { data.text.exists = true }]", "auto", "default", "goes to people"),
        ("not = { model.confidence.lt = 0.9 }", "auto", "one", "would send every task to automation. A test of the"),
        (
            "any = [{ model.label.exists = false }, { data.a = 1 }]",
            "auto",
            "one",
            "would send every task to automation",
        ),
        (
            "not = { model.confidence.gte = 0.9 }",
            "L2",
            "one",
            "rule one to L2. People of L1 are asked audit and gold tasks only.",
        ),
        ("data.a = 1, not = { model.label = 'fraud' }", "auto", "one", "would send tasks to automation"),
        ("model.confidence.lt = 0.7", "L2", "default", "every task goes to people: rule default to L1."),
        ("model.confidence.exists = false", "hold", "one", "holds every task: people answer only audit and gold tasks"),
        ("data.a = 1, not = { model.label = 'ok' }", "hold", "one", "holds tasks"),
    ],
)
def test_what_the_rules_do_while_no_model_exists_is_named(when: str, to: str, key: str, sentence: str):
    found = lint_policy(read_policy(AUTO_RULES.format(first="one", when=when, to=to)))

    assert any(finding.key == f"routing.{key}" and sentence in finding.sentence for finding in found), found


def test_rules_that_hold_whatever_no_model_answers_are_named():
    rules = AUTO_RULES.format(first="sure", when="model.confidence.gte = 0.9", to="L1").replace(
        'to = "L1"\n[tiers', 'to = "hold"\n[tiers'
    )

    found = [str(row) for row in lint_policy(read_policy(rules))]

    assert any("routing.default" in row and "holds every task" in row for row in found), found


def test_what_holds_with_a_model_too_is_not_blamed_on_the_missing_model():
    found = [str(row) for row in lint_policy(read_policy("[[routing]]\nid = 'all'\nto = 'L2'\n[tiers.L1]\n[tiers.L2]"))]

    assert any("every task goes to people: rule all to L2. People of L1 are asked audit" in row for row in found), found
    assert not any("no model exists" in row for row in found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        AUTO_RULES.format(first="one", when="data.a = 1", to="L2"),
        AUTO_RULES.format(first="one", when="model.confidence.lt = 0.5", to="L1"),
        "[[routing]]\nid = 'default'\nto = 'L1'\n",
    ],
)
def test_rules_that_ask_people_with_a_model_and_without_are_not_named(text: str):
    assert not any("no model exists" in finding.sentence for finding in lint_policy(read_policy(text)))


def test_rules_about_fields_that_no_task_has_do_not_count_while_no_model_exists():
    rules = AUTO_RULES.format(first="one", when="data.a = 1", to="hold").replace(
        '[[routing]]\nid = "default"',
        """
[[routing]]
id = "sure"
when = { model.confidence.gte = 0.9 }
to = "auto"
[[routing]]
id = "default"
""",
    )
    without, with_it = ([str(row) for row in lint_policy(read_policy(rules), data=[{"a": a}])] for a in (2, 1))

    assert any("every task goes to people" in sentence for sentence in without)
    assert not any("every task goes to people" in sentence for sentence in with_it)
