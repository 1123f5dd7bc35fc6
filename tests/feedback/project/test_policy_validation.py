"""One function returns every error and warning of a policy; unknown names come with the nearest known name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from feedback.errors import PolicyError
from feedback.policy import Policy, read_policy
from feedback.project.policy_validation import (
    PolicyFinding,
    check_token_owner,
    lint_policy,
    raise_policy_errors,
    validate_policy,
)
from feedback.store import ProjectRow
from tests.support.policies import DAY_S, HOSTED_MODEL, labelling_function


def validate(policy: Policy) -> list[PolicyFinding]:
    return validate_policy(policy, lock_ttl_s=DAY_S)


def test_the_default_policy_has_no_findings():
    assert validate(Policy()) == []
    raise_policy_errors(validate(read_policy('[consensus]\nmethod = "one_coin"\n[overlap]\nmeasure = "alpha"')))


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ('[consensus]\nmethod = "majorty"', "consensus.method: .*did you mean 'majority'"),
        ('[overlap]\nmeasure = "kohen"', "overlap.measure: .*did you mean 'cohen'"),
        ('[sampling]\nstrategy = "margn"', "sampling.strategy: .*did you mean 'margin'"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_name(text: str, suggestion: str):
    with pytest.raises(PolicyError, match=suggestion) as refused:
        raise_policy_errors(validate(read_policy(text)))

    assert "Install" in refused.value.hint


def test_features_that_the_control_does_not_have_are_an_error_and_a_hosted_model_has_its_own():
    choices = '<Choices name="c" toName="t"><Choice value="a"/><Choice value="b"/></Choices>'
    config = f'<View><Text name="t" value="$text"/>{choices}</View>'
    policy = read_policy('[model]\nfeatures = "vision"')
    found = validate_policy(policy, lock_ttl_s=DAY_S, project=ProjectRow("7", label_config=config))

    assert [(finding.level, finding.key) for finding in found] == [("error", "model.features")]
    assert "has no features 'vision'" in found[0].sentence
    assert validate(policy) == []  # without a project, nobody knows what is shown
    with pytest.raises(PolicyError, match="a hosted model has its own"):
        read_policy('[model]\nfeatures = "vision"\nhosted = "m.py:M"')


def test_a_labelling_function_that_is_not_there_is_named_with_its_neighbour():
    assert "Did you mean json:loads?" in validate(labelling_function("json:load_s"))[0].sentence
    assert "Did you mean json.decoder?" in validate(labelling_function("json.decodr:loads"))[0].sentence
    assert "json.nothing.like.it" in validate(labelling_function("json.nothing.like.it:loads"))[0].sentence


def test_a_module_that_fails_while_it_is_imported_is_named_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "broken_rules.py").write_text("raise RuntimeError('no licence')")
    monkeypatch.syspath_prepend(tmp_path)
    found = validate(labelling_function("broken_rules:links"))
    sys.modules.pop("broken_rules", None)

    assert len(found) == 1
    assert "fails at import: RuntimeError: no licence" in found[0].sentence


def test_what_cannot_be_called_is_no_function():
    assert "cannot be called" in validate(labelling_function("string:digits"))[0].sentence


def test_a_hosted_model_that_is_not_there_is_refused_before_a_project_waits_for_it(tmp_path: Path):
    file = tmp_path / "keywords.py"
    file.write_text(HOSTED_MODEL)

    def suggestion(spec: str) -> str:
        return " ".join(map(str, validate(read_policy(f'[model]\nhosted = "{spec}"'))))

    assert suggestion(f"{file}:Keywords") == ""
    assert 'wanted "path/to/file.py:Class"' in suggestion(str(file))
    assert "names no subclass of LabelStudioMLBase" in suggestion(f"{file}:Keyword")
    assert "there is no file" in suggestion(f"{tmp_path}/keyword.py:Keywords")
    file.write_text("class")
    assert "SyntaxError" in suggestion(f"{file}:Keywords")


CONFIG = """<View><Text name="text" value="$text"/><Choices name="label" toName="text">
<Choice value="spam"/><Choice value="ham"/></Choices></View>"""


def test_labels_task_fields_and_clocks_are_checked_for_the_project_that_is_given():
    text = """
[[routing]]
id = "spam"
when = { model.label = "spma", data.amuont.gte = 5 }
to = "L1"
[[routing]]
id = "default"
to = "L1"
[tiers.L1]
resolve = "10m"
"""
    policy = read_policy(text)
    alone = {finding.key: finding.level for finding in validate(policy)}
    found = validate_policy(
        policy, lock_ttl_s=DAY_S, project=ProjectRow("7", label_config=CONFIG), data=[{"amount": 3}]
    )

    assert alone == {"tiers.L1": "warning"}
    assert [(finding.level, finding.key) for finding in found] == [
        ("error", "tiers.L1"),
        ("warning", "routing.spam"),
        ("warning", "routing.spam"),
    ]
    assert "did you mean 'spam'" in found[1].sentence
    assert "did you mean data.amount" in found[2].sentence


RULE = '[[routing]]\nid = "one"\nwhen = {when}\nto = "{to}"\n[[routing]]\nid = "default"\nto = "L1"\n'


def rule(when: str, to: str = "L1") -> str:
    return RULE.format(when=when, to=to)


@pytest.mark.parametrize(
    ("text", "message"),
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
            rule("{ model.confidence.gt = 1 }"),
            "this rule is never met. No task can meet: model.confidence is more than 1",
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
            "[tiers.L1]\n[tiers.L2]\n[audit]\nshare = 0.0\n[second_look]\nshare = 0.0\nhoneypots = 0.1",
            "only honeypots show reviewers nothing",
        ),
        ('[tiers.L1]\nresolve = "1h"\nfirst_action = "2h"', "resolve (1h) is shorter than first_action (2h)"),
        ('[feedback.topic]\noptions = ["x", "y"]', "feedback.topic: the model learns this control"),
    ],
)
def test_what_may_surprise_is_a_warning(text: str, message: str):
    found = lint_policy(read_policy(text), labels=["spam", "ham"], data=[{"amount": 1, "a": 1}], control="topic")

    assert any(message in str(finding) for finding in found)
    assert {finding.level for finding in found} == {"warning"}


def test_a_misspelt_test_is_found_without_any_task():
    (finding,) = lint_policy(read_policy(rule('{ data.text.match = "x" }')))

    assert (finding.level, finding.key) == ("warning", "routing.one")
    assert "did you mean the test data.text.matches" in finding.sentence


def test_people_without_tiers_bring_their_skills_to_the_first_tier():
    assert lint_policy(read_policy('[tiers.L1]\nskills = ["law"]\n[people."a@b.c"]\nskills = ["law"]')) == []


def test_a_policy_without_audit_tasks_is_told_that_no_model_will_serve():
    (finding,) = lint_policy(read_policy("[audit]\nshare = 0.0"))

    assert (finding.level, finding.key) == ("warning", "audit.share")
    assert "no first model will ever be promoted" in finding.sentence


def test_a_plain_policy_has_no_warnings():
    assert lint_policy(read_policy("")) == []
    nested = read_policy(rule("{ data.customer.standing = 'new', data.amount.gte = 5, data.amount.lt = 9 }"))
    assert lint_policy(nested, data=[{"customer": {"standing": "new"}, "amount": 3}]) == []


def test_labels_that_a_control_does_not_have_are_told_in_words():
    text = "[[routing]]\nid = 'one'\nwhen = { model.label = 'fraud' }\nto = 'L1'\n[[routing]]\nid = 'rest'\nto = 'L1'\n"
    (found,) = (row for row in lint_policy(read_policy(text), labels=()) if "fraud" in row.sentence)

    assert found.sentence.endswith("the control that is learned has no labels, so this test is never true.")


def test_a_label_config_that_cannot_be_read_is_an_error_beside_the_others():
    found = validate_policy(read_policy('[sampling]\nstrategy = "margn"'), lock_ttl_s=1.0, project=ProjectRow("7"))

    assert {row.key for row in found if row.level == "error"} == {"model.control", "sampling.strategy"}


@pytest.mark.parametrize(
    ("people", "told"),
    [
        ({"ann@example.com": ""}, ""),
        ({"ann@example.com": "approver"}, "not ben@example.com, so that this user no longer sees"),
        ({"ann@example.com": "admin", "BEN@example.com": ""}, "who may only view"),
        ({"ann@example.com": "approver", "BEN@example.com": "admin"}, ""),
        ({"ben@example.com": "approver"}, ""),
    ],
)
def test_a_policy_that_takes_the_pages_from_the_owner_of_the_token_is_named(people: dict[str, str], told: str):
    entries = (f'[people."{email}"]\n{f"role = {role!r}" if role else ""}\n' for email, role in people.items())
    found = check_token_owner(read_policy("".join(entries)), "ben@example.com")

    assert [told in str(finding) for finding in found] == ([True] if told else [])
    assert all(finding.level == "warning" and 'role = "admin"' in finding.hint for finding in found)


def test_fields_that_no_task_has_or_that_the_control_is_about_are_named():
    choices = "<Choices name='c' toName='t'><Choice value='a'/><Choice value='b'/></Choices>"
    xml = f"<View><Text name='t' value='$text'/>{choices}</View>"
    policy = read_policy('[model]\nfields = ["amont"]\nwithout_fields = ["text", "gender"]')
    data = [{"text": "refund", "amount": 3, "customer": {"gender": "f"}}]
    found = validate_policy(policy, lock_ttl_s=1.0, project=ProjectRow("7", label_config=xml), data=data)

    assert "no task has the field 'amont'; did you mean 'amount'?" in [row.sentence for row in found]
    assert [row.sentence for row in found if row.level == "error"] == [
        "'c' is about the field 'text', which its model has to read."
    ]
    hosted = '[model]\nhosted = "model.py:Model"\nwithout_fields = ["gender"]'
    with pytest.raises(PolicyError, match="without_fields is for our own models"):
        read_policy(hosted)
