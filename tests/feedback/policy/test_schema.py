from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from feedback.errors import PolicyError
from feedback.policy import Policy, read_policy

DOCS = Path(__file__).parents[3] / "docs"


def test_an_empty_file_is_the_default_policy():
    assert read_policy("") == Policy()


def test_equal_policies_have_equal_hashes_and_others_do_not():
    assert read_policy("[audit]\nshare = 0.2").hash == read_policy("version = 1\n[audit]\nshare = 0.2").hash
    assert read_policy("[audit]\nshare = 0.2").hash != Policy().hash


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[audti]\nshare = 0.2", "audti is not a key; did you mean audit"),
        ("[audit]\nshaer = 0.2", "did you mean audit.share"),
        ("[audit]\nshare = 0.9", "audit.share is 0.9; input should be less than or equal to 0.5"),
        ("[audit]\nshare = '0.2'", "audit.share"),
        ("version = 2", "version is 2"),
        ("[queue\n", "not TOML"),
    ],
)
def test_a_wrong_key_or_value_is_refused_by_name(text: str, message: str):
    with pytest.raises(PolicyError, match=message) as caught:
        read_policy(text)

    assert "hitl.toml" in str(caught.value)


def test_a_policy_survives_being_stored_as_json():
    policy = read_policy("[train]\nmin_rows = 5\n[sampling]\nstrategy = 'entropy'")

    assert Policy.model_validate(policy.model_dump(mode="json")) == policy


def test_the_json_schema_describes_the_policy_for_editors():
    """The JSON Schema takes every example of the documentation and refuses what read_policy refuses."""
    from jsonschema import Draft202012Validator

    schema = Policy.model_json_schema()
    Draft202012Validator.check_schema(schema)
    check = Draft202012Validator(schema)
    blocks = re.findall(r"```toml\n(.*?)```", (DOCS / "policy.md").read_text(encoding="utf-8"), re.DOTALL)

    assert [list(check.iter_errors(tomllib.loads(block))) for block in blocks] == [[]] * len(blocks)
    for wrong in ("[audit]\nshaer = 0.2", '[tiers.L1]\nresolve = "10 min"', '[people."a@b.c"]\nrole = "boss"'):
        assert list(check.iter_errors(tomllib.loads(wrong)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('kind = "text"\nfeature = true\nentity = "c"', "a text cannot be a feature"),
        ('kind = "number"\nfeature = true', "a feature needs an entity"),
        ('kind = "number"\nentity = "c"', "an entity is for a feature"),
    ],
)
def test_a_feature_has_an_entity_and_is_not_a_text(text: str, message: str):
    with pytest.raises(PolicyError, match=message):
        read_policy(f"[feedback.x]\n{text}")
