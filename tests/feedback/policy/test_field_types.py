from __future__ import annotations

import time

import pytest

from feedback.policy.field_types import Pattern


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(a|aa)+$", "(a|a?)+$", r"^(\w+\s?)*$", "(.*)*x"])
def test_no_text_makes_a_pattern_slow(pattern: str):
    found = Pattern(pattern)
    started_s = time.process_time()
    for text in ("a" * 100_000 + "!", "a a" * 30_000 + "!"):
        found(text)

    assert time.process_time() - started_s < 2.0  # a backtracking engine takes longer than the universe


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "unclosed group"),
        ("(?=a)", "look-around"),
        (r"(a)\1", "backreferences are not supported"),
        ("a{1000}{1000}", "size limit"),
        ("", "0 characters"),
        ("a" * 1001, "1001 characters"),
    ],
)
def test_what_cannot_be_matched_in_linear_time_is_refused(pattern: str, message: str):
    with pytest.raises(ValueError, match=message):
        Pattern(pattern)


def test_a_pattern_is_found_anywhere_in_a_text():
    assert Pattern("(?i)charge ?back")("my CHARGEBACK please")
    assert not Pattern("^chargeback$")("my chargeback")
    assert Pattern("é+")("caféé")


def test_a_text_with_a_lone_surrogate_is_a_text_too():
    assert Pattern("refund")("\ud800 refund")
    assert not Pattern("refund")("\ud800")


def test_equal_patterns_are_equal():
    assert Pattern("a") == Pattern("a")
    assert len({Pattern("a"), Pattern("a"), Pattern("b")}) == 2
