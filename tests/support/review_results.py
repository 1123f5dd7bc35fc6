"""What a reviewer says, as Label Studio keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from feedback.review.review_task_content import COMMENT, FACTS, REASON, VERDICT


def choice_region(name: str, to_name: str, label: str) -> dict[str, Any]:
    """One region: a choice."""
    return {"from_name": name, "to_name": to_name, "type": "choices", "value": {"choices": [label]}}


def review_result(
    shown: Sequence[Any], verdict: str, label: str = "", *, reason: str = "", comment: str = ""
) -> list[dict[str, Any]]:
    """A reviewer's result: what was filled in, unless another label is given, and the verdict with its reason."""
    result = [choice_region("kind", "text", label)] if label else [dict(region) for region in shown]
    if verdict:
        result.append(choice_region(VERDICT, FACTS, verdict))
    if reason:
        result.append(choice_region(REASON, FACTS, reason))
    if comment:
        result.append({"from_name": COMMENT, "to_name": FACTS, "type": "textarea", "value": {"text": [comment]}})
    return result
