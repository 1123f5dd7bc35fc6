"""The code that a policy names is checked by reading it: it does not run until somebody asks for that."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from feedback.policy import Policy, read_policy
from feedback.project.policy_validation import validate_policy
from tests.support.policies import DAY_S, HOSTED_MODEL, labelling_function

TRAP = """
import pathlib
pathlib.Path({mark!r}).write_text("it ran")
{rest}
"""


def test_without_run_no_code_that_a_policy_names_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    mark, package = tmp_path / "it ran", tmp_path / "trapped"
    package.mkdir()
    (package / "__init__.py").write_text(TRAP.format(mark=str(mark), rest=""))
    (package / "rules.py").write_text(TRAP.format(mark=str(mark), rest="def links(data): ..."))
    (tmp_path / "model.py").write_text(TRAP.format(mark=str(mark), rest=HOSTED_MODEL))
    metadata = tmp_path / "trapped-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: trapped\nVersion: 1.0\n")
    groups = "".join(
        f"[hitl.{name}]\ntrap = trapped.rules:links\n" for name in ("consensus", "agreement", "strategies")
    )
    (metadata / "entry_points.txt").write_text(groups)
    monkeypatch.syspath_prepend(tmp_path)
    policy = read_policy(
        f'[model]\nhosted = "{tmp_path}/model.py:Keywords"\n[[labelling_functions]]\nname = "links"\n'
        'function = "trapped.rules:links"\n[consensus]\nmethod = "trap"\n[overlap]\nmeasure = "trap"\n'
        '[sampling]\nstrategy = "trap"'
    )

    found = validate_policy(policy, lock_ttl_s=DAY_S, run=False)
    wrong = validate_policy(labelling_function("trapped.rules:link"), lock_ttl_s=DAY_S, run=False)

    assert found == []
    assert "Did you mean trapped.rules:links?" in wrong[0].sentence
    assert not mark.exists()
    validate_policy(labelling_function("trapped.rules:links"), lock_ttl_s=DAY_S)
    assert mark.exists()
    for name in ("trapped", "trapped.rules"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("source", "level", "sentence"),
    [
        ("def links(data): ...", "", ""),
        ("if True:\n    def links(data): ...", "", ""),
        ("try:\n    from other import links\nexcept ImportError:\n    links = None", "", ""),
        ("links = lambda data: None", "", ""),
        ("links = 'text'", "error", "cannot be called"),
        ("from other import *", "warning", "adds names while it runs"),
        ("def __getattr__(name): ...", "warning", "adds names while it runs"),
        ("def link(data): ...", "error", "Did you mean read_rules:link"),
        ("def", "error", "SyntaxError"),
        ("\0", "error", "is not Python"),
        ("(" * 10_000, "error", "is not Python"),
    ],
)
def test_reading_says_what_is_wrong_and_what_it_cannot_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, level: str, sentence: str
):
    (tmp_path / "read_rules.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)

    found = validate_policy(labelling_function("read_rules:links"), lock_ttl_s=DAY_S, run=False)

    assert [finding.level for finding in found] == ([level] if level else [])
    assert all(sentence in finding.sentence for finding in found)


@pytest.mark.parametrize(
    ("source", "level"),
    [
        (HOSTED_MODEL, ""),
        ("import label_studio_ml.model as m\nclass Base(m.LabelStudioMLBase): ...\nclass Keywords(Base): ...", ""),
        ("from other import Base\nclass Keywords(Base): ...", "warning"),
        ("from other import Keywords", "warning"),
        ("class Keywords: ...", "error"),
        ("class Keywords(Keywords): ...", "error"),
        ("class Keyword: ...", "error"),
    ],
)
def test_a_hosted_model_is_read_as_well(tmp_path: Path, source: str, level: str):
    (tmp_path / "model.py").write_text(source)
    policy = read_policy(f'[model]\nhosted = "{tmp_path}/model.py:Keywords"')

    found = validate_policy(policy, lock_ttl_s=DAY_S, run=False)

    assert [finding.level for finding in found] == ([level] if level else [])


@pytest.mark.parametrize("path", ["x" * 5_000, "\0", "a\0b.py", ".", "/dev/zero", "\u00df.py"])
def test_a_path_that_is_no_file_is_an_error_of_the_policy(path: str):
    policy = Policy.model_validate({"model": {"hosted": f"{path}:Keywords"}})

    found = validate_policy(policy, lock_ttl_s=DAY_S, run=False)

    assert [finding.level for finding in found] == ["error"]


def test_code_that_is_nested_too_deep_to_be_read_is_not_called_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "deep_rules.py").write_text("if 0: ...\n" + "elif 0: ...\n" * 5_000 + "def links(data): ...\n")
    monkeypatch.syspath_prepend(tmp_path)

    found = validate_policy(labelling_function("deep_rules:links"), lock_ttl_s=DAY_S, run=False)

    assert [finding.level for finding in found] == ["warning"]
