"""Explanations of the model's answer, as a case stores them and as a reviewer reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from feedback.training.model_cache import Floats
from ml_backend.left_out import contained
from ml_backend.models.explanations import strongest_contributions
from ml_backend.number_format import format_number
from ml_backend.registry import Bundle

NONE_GIVEN = "this model gives no reasons"


def explain_prediction(bundle: Bundle, data: Mapping[str, Any], row: Floats | None = None) -> dict[str, Any]:
    """Return a model's answer to a task with the reasons for it, as plain JSON; {} where it has no answer.

    `row` (k,) is the task's row of `Bundle.proba`, if it is known already. "reasons" is None if the model gives none.
    """
    proba = bundle.proba([data])[0] if row is None else row
    answer, confidence = bundle.predict_label(proba)
    if answer is None:
        return {}
    listed = None
    with contained("explain the prediction", "a task"):  # the model may be a plug-in; the case goes on without reasons
        reasons = bundle.explain(data, proba)
        if reasons is not None:
            listed = [[reason.what, round(reason.weight, 3)] for reason in strongest_contributions(reasons)]
    return {"model": bundle.version, "answer": answer.key, "confidence": confidence, "reasons": listed}


def format_explanation(prediction: Mapping[str, Any]) -> str:
    """Return the reasons for an answer in words.

    >>> format_explanation({"reasons": [["prize", 0.83], ["lunch", -0.214]]})
    'prize +0.83, lunch -0.21'
    >>> format_explanation({"reasons": None}), format_explanation({"reasons": []})
    ('this model gives no reasons', 'no part of the task has a large weight')
    """
    reasons = prediction.get("reasons")
    if reasons is None:
        return str(prediction.get("note") or NONE_GIVEN)
    return (
        ", ".join(f"{what} {format_number(weight, signed=True)}" for what, weight in reasons)
        or "no part of the task has a large weight"
    )
