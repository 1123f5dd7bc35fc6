from __future__ import annotations

import re
from pathlib import Path

import pytest

from feedback.policy import Policy, read_policy
from feedback.policy.reviewer_questions import SIGNALS
from feedback.policy.rules import FIELDS, UNAVAILABLE_FIELDS

TEXT = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_example_is_a_policy(block: str):
    assert read_policy(block, source="docs/policy.md") is not None


def test_the_defaults_that_are_shown_are_the_defaults():
    assert read_policy(BLOCKS[0]) == Policy()


def test_every_section_field_and_signal_is_documented():
    sections = set(Policy.model_fields) - {"version"}
    found = re.findall(r"^\[+([a-z_]+)", TEXT, re.MULTILINE)

    assert sections == set(found)
    for name in [*FIELDS, *SIGNALS, "model.set_size", "model.ood_p"]:
        assert f"`{name}`" in TEXT
    assert set(UNAVAILABLE_FIELDS) >= {"model.set_size", "model.ood_p"}


@pytest.mark.parametrize("section", ["tiers", "calendars", "people", "notify", "feedback"])
def test_every_key_of_a_section_is_documented(section: str):
    (block,) = [row for row in BLOCKS if re.search(rf"^\[{section}\..*\][^\[]*=", row, re.MULTILINE)]
    (kind,) = {type(row) for row in getattr(read_policy(block), section).values()}
    keys = set(kind.model_fields) - {"place", "panel", "highest"}

    assert [key for key in sorted(keys) if not re.search(rf"^{key} = ", TEXT, re.MULTILINE)] == []
