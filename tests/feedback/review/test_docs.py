"""The page on review says what the code does: the diagram and the table are the code's own."""

from __future__ import annotations

from pathlib import Path

from feedback.policy import read_policy
from feedback.review.state_machine import markdown_table, mermaid_diagram

PAGE = (Path(__file__).parents[3] / "docs" / "review.md").read_text(encoding="utf-8")


def test_the_page_holds_the_diagram_and_the_table_of_the_code():
    assert f"```mermaid\n{mermaid_diagram()}\n```" in PAGE
    assert markdown_table() in PAGE


def test_the_policy_of_the_page_is_one():
    text = PAGE.partition("```toml\n")[2].partition("```")[0]

    policy = read_policy(text)
    assert list(policy.tiers) == ["L1", "L2", "L3"]
