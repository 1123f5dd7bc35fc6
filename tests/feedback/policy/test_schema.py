from __future__ import annotations

import pytest

from feedback.errors import PolicyError
from feedback.policy import Policy, read_policy


def test_an_empty_file_is_the_default_policy():
    assert read_policy("") == Policy()


def test_equal_policies_have_equal_hashes_and_others_do_not():
    assert read_policy("[audit]\nshare = 0.2").hash == read_policy("version = 1\n[audit]\nshare = 0.2").hash
    assert read_policy("[audit]\nshare = 0.2").hash != Policy().hash


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[audti]\nshare = 0.2", "audti is not a key; did you mean audit"),
        ("[audit]\nshaer = 0.2", "did you mean audit.share"),
        ("[audit]\nshare = 0.9", "audit.share is 0.9; input should be less than or equal to 0.5"),
        ("[audit]\nshare = '0.2'", "audit.share"),
        ("version = 2", "version is 2"),
        ("[queue\n", "not TOML"),
    ],
)
def test_a_wrong_key_or_value_is_refused_by_name(text: str, says: str):
    with pytest.raises(PolicyError, match=says) as caught:
        read_policy(text)

    assert "hitl.toml" in str(caught.value)


def test_a_policy_survives_being_stored_as_json():
    policy = read_policy("[train]\nmin_rows = 5\n[sampling]\nstrategy = 'entropy'")

    assert Policy.model_validate(policy.model_dump(mode="json")) == policy
