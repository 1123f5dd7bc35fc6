from __future__ import annotations

import pytest

from feedback.policy import read_policy
from feedback.policy.lint import lint_policy

RULE = '[[routing]]\nid = "one"\nwhen = {when}\nto = "{to}"\n[[routing]]\nid = "default"\nto = "L1"\n'


def rule(when: str, to: str = "L1") -> str:
    return RULE.format(when=when, to=to)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (rule("{ model.confidence.gte = 0.9 }", "auto"), "auto is refused for now: no certificate allows it yet"),
        (rule('{ model.label = "spma" }'), "no label 'spma'; did you mean 'spam'?"),
        (rule("{ data.amuont.gte = 5 }"), "no task has data.amuont; did you mean data.amount?"),
        ('[[routing]]\nid = "default"\nto = "hold"\n', "nobody sees the other tasks"),
        (
            '[tiers.L1]\n[tiers.L2]\n[people."a@b.c"]\ntiers = ["L1"]',
            "tiers.L2: nobody in [people] may answer in this tier",
        ),
        ('[tiers.L1]\nskills = ["law"]\n[people."a@b.c"]\ntiers = ["L1"]', "nobody in this tier has the skills law"),
        ('[tiers.L1]\nresolve = "4h"\non_breach = "escalate"', "there is no tier after this one"),
        (
            '[tiers.L1]\n[tiers.L2]\nprotocol = "two-reader"\n[people."a@b.c"]\ntiers = ["L2"]',
            "each case needs 2 people, but 1 may answer in this tier",
        ),
        (
            '[[routing]]\nid = "a"\nwhen = { data.a = 1 }\nto = "L1"\n' + rule("{ data.a = 1 }"),
            "routing.one: this rule is never reached. The earlier rule a has the same condition",
        ),
        (
            '[[routing]]\nid = "a"\nto = "L1"\nskills = ["law"]\n[people."a@b.c"]\nskills = ["tax"]',
            "routing.a: nobody in L1 has the skills law, so no answer will count",
        ),
        ('[[routing]]\nid = "a"\nto = "L1"\nskills = ["law"]', "without [people] no skills are checked"),
        (
            '[feedback.risk]\nkind = "rating"\nfeature = true\nentity = "amuont"',
            "feedback.risk.entity: no task has data.amuont; did you mean data.amount?",
        ),
        ('[tasks]\nkey = "order.id"', "tasks.key: no task has data.order"),
        (
            rule("{ data.amount.gte = 5, data.amount.lt = 1 }"),
            "routing.one: this rule is never met. No task can meet: data.amount is at least 5 and",
        ),
        (
            rule("{ model.confidence.gte = 95 }"),
            "this rule is never met. No task can meet: model.confidence is at least 95",
        ),
        (
            '[[routing]]\nid = "a"\nwhen = { data.a.gte = 1 }\nto = "L1"\n' + rule("{ data.a.gt = 5, data.b = 2 }"),
            "routing.one: this rule is never reached. Every task that meets it meets the earlier rule a",
        ),
        (rule("{ data.amount.gtee = 5 }"), "read as a field within data.amount; did you mean the test data.amount.gte"),
        (rule("{ data.amount.euro = 5 }"), "no task has data.amount.euro, though some have data.amount"),
        (rule('{ signal.thumbs = "sideways" }'), "signal.thumbs is never 'sideways'; it is one of up, down"),
        (
            '[tiers.L1]\nresolve = "4h"\non_breach = "reassign"',
            "tiers.L1: tasks of the source project cannot be reassigned",
        ),
        ('[tiers.L1]\nprotocol = "panel"\npanel = 3', "tiers.L1: panel, protocol: for review projects only"),
        (
            "[tiers.L1]\n[tiers.L2]\n[second_look]\nshare = 0.0\nhoneypots = 0.1",
            "only honeypots show reviewers nothing",
        ),
        ('[tiers.L1]\nresolve = "1h"\nfirst_action = "2h"', "resolve (1h) is shorter than first_action (2h)"),
        ('[feedback.topic]\noptions = ["x", "y"]', "feedback.topic: the model learns this control"),
    ],
)
def test_what_may_surprise_is_a_warning(text: str, says: str):
    found = lint_policy(read_policy(text), labels=["spam", "ham"], data=[{"amount": 1, "a": 1}], control="topic")

    assert any(says in str(finding) for finding in found)
    assert {finding.level for finding in found} == {"warning"}


def test_a_misspelt_test_is_found_without_any_task():
    (finding,) = lint_policy(read_policy(rule('{ data.text.match = "x" }')))

    assert (finding.level, finding.key) == ("warning", "routing.one")
    assert "did you mean the test data.text.matches" in finding.sentence


def test_a_plain_policy_has_no_warnings():
    assert lint_policy(read_policy("")) == []
    nested = read_policy(rule("{ data.customer.standing = 'new', data.amount.gte = 5, data.amount.lt = 9 }"))
    assert lint_policy(nested, data=[{"customer": {"standing": "new"}, "amount": 3}]) == []
