"""The page on review says what the code does: the diagram and the table are the code's own."""

from __future__ import annotations

from pathlib import Path

from feedback.policy import read_policy
from feedback.review.case_state_machine import TRANSITIONS, State

PAGE = (Path(__file__).parents[3] / "docs" / "review.md").read_text(encoding="utf-8")


def mermaid_diagram() -> str:
    """Return the table of transitions as a Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    events_by_edge: dict[tuple[State, State], list[str]] = {}
    for row in TRANSITIONS:
        suffix = " (one tier up)" if row.tier == "above" else ""
        events_by_edge.setdefault((row.from_state, row.to_state), []).append(f"{row.event}{suffix}")
    for (from_state, to_state), events in events_by_edge.items():
        lines.append(f"    {from_state or '[*]'} --> {to_state}: {', '.join(events)}")
    lines.append("    resolved --> [*]")
    lines.append("    withdrawn --> [*]")
    return "\n".join(lines)


def markdown_table() -> str:
    """Return the table of transitions in Markdown, with the reasons."""
    head = ["| from | event | to | tier | when |", "|---|---|---|---|---|"]
    rows = [
        f"| {row.from_state or 'nothing'} | {row.event} | {row.to_state} | {row.tier} | {row.when} |"
        for row in TRANSITIONS
    ]
    return "\n".join([*head, *rows])


def test_the_page_holds_the_diagram_and_the_table_of_the_code():
    assert f"```mermaid\n{mermaid_diagram()}\n```" in PAGE
    assert markdown_table() in PAGE


def test_the_policy_of_the_page_is_one():
    text = PAGE.partition("```toml\n")[2].partition("```")[0]

    policy = read_policy(text)
    assert list(policy.tiers) == ["L1", "L2", "L3"]
