from __future__ import annotations

import pytest

from feedback.policy import read_policy
from feedback.policy.checking import warnings

RULE = '[[routing]]\nid = "one"\nwhen = {when}\nto = "{to}"\n[[routing]]\nid = "default"\nto = "L1"\n'


def rule(when: str, to: str = "L1") -> str:
    return RULE.format(when=when, to=to)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (rule("{ model.confidence.gte = 0.9 }", "auto"), "auto is refused for now, certificates come in step 7"),
        (rule('{ model.label = "spma" }'), "no label 'spma'; did you mean 'spam'?"),
        (rule("{ data.amuont.gte = 5 }"), "no task has data.amuont; did you mean data.amount?"),
        ('[[routing]]\nid = "default"\nto = "hold"\n', "every other task is kept back"),
        ('[tiers.L1]\n[tiers.L2]\n[people."a@b.c"]\ntiers = ["L1"]', "tiers.L2: nobody in [people] may answer there"),
        ('[tiers.L1]\nskills = ["law"]\n[people."a@b.c"]\ntiers = ["L1"]', "nobody there has law"),
        ('[tiers.L1]\nresolve = "4h"\non_breach = "escalate"', "there is no tier after it"),
        (
            '[tiers.L1]\n[tiers.L2]\nprotocol = "two-reader"\n[people."a@b.c"]\ntiers = ["L2"]',
            "2 readers are wanted, and 1 may answer there",
        ),
        (
            '[[routing]]\nid = "a"\nwhen = { data.a = 1 }\nto = "L1"\n' + rule("{ data.a = 1 }"),
            "routing.one is never reached: a asks the same",
        ),
        (
            '[[routing]]\nid = "a"\nto = "L1"\nskills = ["law"]\n[people."a@b.c"]\nskills = ["tax"]',
            "routing.a: nobody in L1 has law, so no answer will count",
        ),
        ('[[routing]]\nid = "a"\nto = "L1"\nskills = ["law"]', "without [people] nobody's skills are asked"),
        (
            '[feedback.risk]\nkind = "rating"\nfeature = true\nentity = "amuont"',
            "feedback.risk.entity: no task has data.amuont; did you mean data.amount?",
        ),
        ('[tasks]\nkey = "order.id"', "tasks.key: no task has data.order"),
        ('[feedback.topic]\noptions = ["x", "y"]', "feedback.topic: that is the control that is learned"),
    ],
)
def test_what_will_surprise_is_said_before_it_is_active(text: str, says: str):
    found = warnings(read_policy(text), labels=["spam", "ham"], data=[{"amount": 1, "a": 1}], control="topic")

    assert any(says in one for one in found)


def test_a_plain_policy_surprises_nobody():
    assert warnings(read_policy("")) == []
