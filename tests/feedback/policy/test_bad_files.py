"""A policy file that no parser takes is refused with a sentence, whatever it makes the parser raise."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from feedback.errors import PolicyError
from feedback.policy import read_policy
from feedback.policy.hitl_toml import read_policy_file
from tests.support.hostile import TEXTS

PLACES = ("tasks.key", "model.control", "reasons.x", "audit.share", "tiers.L1.title")


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000 + "]" * 100_000, "a = " + "{b=" * 5_000, "\x00", "a = \ud800"])
def test_a_text_that_overwhelms_the_parser_is_refused(text: str):
    with pytest.raises(PolicyError):
        read_policy(text)


@pytest.mark.parametrize("place", PLACES)
def test_any_text_in_a_policy_gives_a_policy_or_a_sentence(place: str):
    for value in TEXTS:
        quoted = '"' + "".join(f"\\U{ord(letter):08x}" for letter in value[:500]) + '"'
        with suppress(PolicyError):
            read_policy(f"{place} = {quoted}")


def test_a_path_that_is_none_is_refused():
    with pytest.raises(PolicyError):
        read_policy_file(Path("a\x00b"))
