"""What spoke for the model's answer, as a case keeps it and as a reviewer reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from feedback.training.model_cache import Floats
from ml_backend.models.explanations import strongest_contributions
from ml_backend.registry import Bundle

NONE_GIVEN = "this model gives no reasons"


def opinion(bundle: Bundle, data: Mapping[str, Any], row: Floats | None = None) -> dict[str, Any]:
    """What a model says of a task and what spoke for that, as plain JSON; {} where it has no answer.

    `row` (k,) is its row of `Bundle.proba`, where that is known already. "reasons" is None where the model gives none.
    """
    proba = bundle.proba([data])[0] if row is None else row
    answer, confidence = bundle.predict_label(proba)
    if answer is None:
        return {}
    reasons = bundle.explain(data, proba)
    told = None if reasons is None else [[one.what, round(one.weight, 3)] for one in strongest_contributions(reasons)]
    return {"model": bundle.version, "answer": answer.key, "confidence": confidence, "reasons": told}


def spoken(said: Mapping[str, Any]) -> str:
    """What spoke for an answer, in words.

    >>> spoken({"reasons": [["prize", 0.83], ["lunch", -0.214]]})
    'prize +0.83, lunch -0.21'
    >>> spoken({"reasons": None}), spoken({"reasons": []})
    ('this model gives no reasons', 'no part of it counts for much')
    """
    reasons = said.get("reasons")
    if reasons is None:
        return str(said.get("note") or NONE_GIVEN)
    return ", ".join(f"{what} {weight:+.2f}" for what, weight in reasons) or "no part of it counts for much"
