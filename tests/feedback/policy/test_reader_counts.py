"""A tier that may have too few people left to read a case is named."""

from __future__ import annotations

import pytest

from feedback.policy import read_policy
from feedback.project.policy_validation import lint_policy


def panel(people: dict[str, str], *, more: str = "", size: int = 3) -> str:
    listed = "".join(f'[people."{name}@example.com"]\ntiers = [{tiers}]\n' for name, tiers in people.items())
    return f'[tiers.L1]\n[tiers.L2]\nprotocol = "panel"\npanel = {size}\n{more}{listed}'


BOTH, ONLY = "'L1', 'L2'", "'L2'"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (panel({"a": ONLY, "b": ONLY}), "each case needs 3 people, but 2 may answer in this tier. No case can be"),
        (panel({"a": BOTH, "b": BOTH, "c": BOTH}), "may have 0 left: 3 may answer in this tier, but up to 3 of them"),
        (
            panel({"a": BOTH, "b": BOTH, "c": ONLY, "d": ONLY}),
            "may have 2 left: 4 may answer in this tier, but up to 2",
        ),
        (panel({"a": ONLY, "b": ONLY, "c": ONLY}), ""),
        (panel({"a": BOTH, "b": BOTH, "c": BOTH}, more="own_cases = true\n"), ""),
        (
            panel({"a": BOTH, "b": BOTH, "c": ONLY}, more="own_cases = true\n").replace(
                "[tiers.L1]", "[tiers.L1]\nskip_means = 'escalate'"
            ),
            "may have 2 left: 3 may answer in this tier, but up to 1 of them may have escalated it",
        ),
        (panel({"a": BOTH, "b": BOTH, "c": ONLY, "d": ONLY, "e": ONLY}), ""),
        (
            panel({"a": ONLY, "b": ONLY}).replace('protocol = "panel"\npanel = 3', 'protocol = "two-reader"'),
            "a case needs 2 people, and a third where they differ, and may have 2 left",
        ),
    ],
)
def test_a_tier_whose_cases_may_have_too_few_readers_once_own_cases_are_excluded_is_named(text: str, sentence: str):
    found = [finding.sentence for finding in lint_policy(read_policy(text)) if finding.key == "tiers.L2"]

    assert any(sentence in one for one in found) if sentence else found == []


def test_the_skills_of_a_rule_are_counted_and_without_people_the_users_of_label_studio():
    rule = '[[routing]]\nid = "refund"\nwhen = {data.a = 1}\nto = "L2"\nskills = ["refunds"]\n'
    rule += '[[routing]]\nid = "rest"\nto = "L1"\n'
    people = panel({"a": ONLY, "b": ONLY, "c": ONLY}, size=2).replace(f"{ONLY}]", f"{ONLY}]\nskills = ['refunds']", 1)
    found = {finding.key: finding.sentence for finding in lint_policy(read_policy(rule + people))}
    assert "each case needs 2 people, but 1 may answer" in found["routing.refund"]
    assert "tiers.L2" not in found

    alone = read_policy(panel({}, size=2))
    assert [finding.key for finding in lint_policy(alone, users=["a@x", "b@x"])] == ["tiers.L2"]
    assert lint_policy(alone) == lint_policy(alone, users=list(map(str, range(9)))) == []
