"""One function returns every error and warning of a policy; unknown names come with the nearest known name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from feedback.errors import PolicyError
from feedback.policy import Policy, read_policy
from feedback.policy.lint import PolicyFinding
from feedback.project.policy_validation import raise_policy_errors, validate_policy
from feedback.store import ProjectRow

DAY_S = 86_400.0


def validate(policy: Policy) -> list[PolicyFinding]:
    return validate_policy(policy, lock_ttl_s=DAY_S)


def function(spec: str) -> Policy:
    return read_policy(f'[[labelling_functions]]\nname = "links"\nfunction = "{spec}"')


def test_the_default_policy_has_no_findings():
    assert validate(Policy()) == []
    raise_policy_errors(validate(read_policy('[consensus]\nmethod = "one_coin"\n[overlap]\nmeasure = "alpha"')))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[consensus]\nmethod = "majorty"', "consensus.method: .*did you mean 'majority'"),
        ('[overlap]\nmeasure = "kohen"', "overlap.measure: .*did you mean 'cohen'"),
        ('[sampling]\nstrategy = "margn"', "sampling.strategy: .*did you mean 'margin'"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_name(text: str, said: str):
    with pytest.raises(PolicyError, match=said) as refused:
        raise_policy_errors(validate(read_policy(text)))

    assert "Install" in refused.value.hint


def test_a_labelling_function_that_is_not_there_is_named_with_its_neighbour():
    assert "Did you mean json:loads?" in validate(function("json:load_s"))[0].sentence
    assert "Did you mean json.decoder?" in validate(function("json.decodr:loads"))[0].sentence
    assert "json.nothing.like.it" in validate(function("json.nothing.like.it:loads"))[0].sentence


def test_a_module_that_fails_while_it_is_imported_is_named_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "broken_rules.py").write_text("raise RuntimeError('no licence')")
    monkeypatch.syspath_prepend(tmp_path)
    found = validate(function("broken_rules:links"))
    sys.modules.pop("broken_rules", None)

    assert len(found) == 1
    assert "fails at import: RuntimeError: no licence" in found[0].sentence


def test_what_cannot_be_called_is_no_function():
    assert "cannot be called" in validate(function("string:digits"))[0].sentence


HOSTED = """
from label_studio_ml.model import LabelStudioMLBase

class Keywords(LabelStudioMLBase):
    pass
"""


def test_a_hosted_model_that_is_not_there_is_refused_before_a_project_waits_for_it(tmp_path: Path):
    file = tmp_path / "keywords.py"
    file.write_text(HOSTED)

    def said(spec: str) -> str:
        return " ".join(map(str, validate(read_policy(f'[model]\nhosted = "{spec}"'))))

    assert said(f"{file}:Keywords") == ""
    assert 'wanted "path/to/file.py:Class"' in said(str(file))
    assert "names no subclass of LabelStudioMLBase" in said(f"{file}:Keyword")
    assert "there is no file" in said(f"{tmp_path}/keyword.py:Keywords")
    file.write_text("class")
    assert "SyntaxError" in said(f"{file}:Keywords")


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
