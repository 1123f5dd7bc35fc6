"""Rightness: whether an answer is the known one, or so near to it that it counts as right."""

from __future__ import annotations

from typing import cast

from feedback.annotators.gold import GoldTask
from ml_backend.codecs import codec
from ml_backend.records import Answer

_EXACT = ("choices", "pairwise", "taxonomy", "rating", "number")  # right is equal, unless the book allows more
_QUANTITIES = ("rating", "number")
_ROUNDING = 1e-9


def is_right(said: Answer, known: GoldTask, *, usual: float) -> bool:
    """Whether somebody gave the known answer; False where it is of another type.

    Numbers and ratings may be off by the book's `tolerance`, in their own unit. All else may be as far away by its
    codec's distance; without a tolerance, what is drawn (spans, boxes) may be `usual` away, everything else not at all.

    >>> from ml_backend.records import Answer
    >>> five = GoldTask(1, Answer("number", 5.0), "7/a", tolerance=0.5)
    >>> [is_right(Answer("number", said), five, usual=0.3) for said in (5.0, 5.5, 5.6)]
    [True, True, False]
    """
    answer = known.answer
    if answer is None or said.kind != answer.kind:
        return False
    if said == answer:
        return True
    allowed = known.tolerance if known.tolerance is not None else 0.0 if said.kind in _EXACT else usual
    if said.kind in _QUANTITIES:
        return abs(cast("float", said.value) - cast("float", answer.value)) <= allowed + _ROUNDING
    return allowed > 0.0 and codec(said.kind).distance(said, answer) <= allowed + _ROUNDING
