"""Every name of a policy that leads nowhere is said when the policy is checked, with the nearest one that does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from feedback.errors import PolicyError
from feedback.policy import Policy, read_policy
from feedback.project.policy_validation import refuse_unknown, unknown_names


def function(spec: str) -> Policy:
    return read_policy(f'[[labelling_functions]]\nname = "links"\nfunction = "{spec}"')


def test_the_usual_policy_has_no_unknown_name():
    assert unknown_names(Policy()) == []
    refuse_unknown(read_policy('[consensus]\nmethod = "one_coin"\n[overlap]\nmeasure = "alpha"'))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[consensus]\nmethod = "majorty"', "consensus.method: .*did you mean 'majority'"),
        ('[overlap]\nmeasure = "kohen"', "overlap.measure: .*did you mean 'cohen'"),
        ('[sampling]\nstrategy = "margn"', "sampling.strategy: .*did you mean 'margin'"),
    ],
)
def test_an_unknown_name_is_said_with_the_nearest(text: str, said: str):
    with pytest.raises(PolicyError, match=said) as refused:
        refuse_unknown(read_policy(text))

    assert "Install" in refused.value.hint


def test_a_labelling_function_that_is_not_there_is_named_with_its_neighbour():
    assert "Did you mean json:loads?" in unknown_names(function("json:load_s"))[0]
    assert "Did you mean json.decoder?" in unknown_names(function("json.decodr:loads"))[0]
    assert "json.nothing.like.it" in unknown_names(function("json.nothing.like.it:loads"))[0]


def test_a_module_that_fails_while_it_is_imported_is_named_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "broken_rules.py").write_text("raise RuntimeError('no licence')")
    monkeypatch.syspath_prepend(tmp_path)
    found = unknown_names(function("broken_rules:links"))
    sys.modules.pop("broken_rules", None)

    assert len(found) == 1
    assert "fails at import: RuntimeError: no licence" in found[0]


def test_what_cannot_be_called_is_no_function():
    assert "cannot be called" in unknown_names(function("string:digits"))[0]


HOSTED = """
from label_studio_ml.model import LabelStudioMLBase

class Keywords(LabelStudioMLBase):
    pass
"""


def test_a_hosted_model_that_is_not_there_is_refused_before_a_project_waits_for_it(tmp_path: Path):
    file = tmp_path / "keywords.py"
    file.write_text(HOSTED)

    def said(spec: str) -> str:
        return " ".join(unknown_names(read_policy(f'[model]\nhosted = "{spec}"')))

    assert said(f"{file}:Keywords") == ""
    assert 'wanted "path/to/file.py:Class"' in said(str(file))
    assert "names no subclass of LabelStudioMLBase" in said(f"{file}:Keyword")
    assert "there is no file" in said(f"{tmp_path}/keyword.py:Keywords")
    file.write_text("class")
    assert "SyntaxError" in said(f"{file}:Keywords")
