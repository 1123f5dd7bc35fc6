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


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_a_policy_is_read_as_editors_of_windows_write_it(tmp_path: Path, encoding: str):
    file = tmp_path / "hitl.toml"
    file.write_bytes('version = 1\r\n\r\n[model]\r\ncontrol = "cafe\u0301"\r\n'.encode(encoding))

    assert read_policy_file(file).model.control == "café"


def test_a_policy_in_another_encoding_is_refused(tmp_path: Path):
    file = tmp_path / "hitl.toml"
    file.write_bytes('[model]\ncontrol = "café"\n'.encode("latin-1"))

    with pytest.raises(PolicyError, match="not text in UTF-8"):
        read_policy_file(file)
