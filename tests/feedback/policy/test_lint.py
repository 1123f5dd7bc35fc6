from __future__ import annotations

import pytest

from feedback.policy import read_policy
from feedback.policy.lint import warnings

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
        (rule("{ data.amount.gte = 5, data.amount.lt = 1 }"), "routing.one is never met: nothing is such that"),
        (rule("{ model.confidence.gte = 95 }"), "never met: nothing is such that model.confidence is at least 95"),
        (
            '[[routing]]\nid = "a"\nwhen = { data.a.gte = 1 }\nto = "L1"\n' + rule("{ data.a.gt = 5, data.b = 2 }"),
            "routing.one is never reached: whatever meets it meets a before",
        ),
        (rule("{ data.amount.gtee = 5 }"), "read as a field within data.amount; did you mean the test data.amount.gte"),
        (rule("{ data.amount.euro = 5 }"), "no task has data.amount.euro, though some have data.amount"),
        (rule('{ signal.thumbs = "sideways" }'), "signal.thumbs is never 'sideways'; it is one of up, down"),
        ('[tiers.L1]\nresolve = "4h"\non_breach = "reassign"', "tiers.L1: a breach cannot give a task of the source"),
        ('[tiers.L1]\nprotocol = "panel"\npanel = 3', "tiers.L1: panel, protocol is for review projects"),
        (
            "[tiers.L1]\n[tiers.L2]\n[second_look]\nshare = 0.0\nhoneypots = 0.1",
            "only honeypots show reviewers nothing",
        ),
        ('[tiers.L1]\nresolve = "1h"\nfirst_action = "2h"', "decided within 1h, and begun within 2h only"),
        ('[feedback.topic]\noptions = ["x", "y"]', "feedback.topic: that is the control that is learned"),
    ],
)
def test_what_will_surprise_is_said_before_it_is_active(text: str, says: str):
    found = warnings(read_policy(text), labels=["spam", "ham"], data=[{"amount": 1, "a": 1}], control="topic")

    assert any(says in one for one in found)


def test_a_misspelt_test_is_seen_without_any_task():
    assert "did you mean the test data.text.matches" in warnings(read_policy(rule('{ data.text.match = "x" }')))[0]


def test_a_plain_policy_surprises_nobody():
    assert warnings(read_policy("")) == []
    nested = read_policy(rule("{ data.customer.standing = 'new', data.amount.gte = 5, data.amount.lt = 9 }"))
    assert warnings(nested, data=[{"customer": {"standing": "new"}, "amount": 3}]) == []
